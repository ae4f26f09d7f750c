/** Who stands at standard input. */
import { isatty } from 'node:tty'

/**
 * Whether it is a terminal. Not by `process.stdin.isTTY`: looking at that turns a pipe to reads that do not wait, and whoever
 * then reads it as a file fails where nothing has come yet.
 */
export const hasKeyboard = (): boolean => isatty(0)
