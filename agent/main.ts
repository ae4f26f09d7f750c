#!/usr/bin/env node
/** The program `tieline`. */
import { processTerminal } from './cli/terminal.ts'
import { tieline } from './cli/tieline.ts'

const interrupted = new Promise<void>(resolve => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
})
process.exitCode = await tieline(process.argv.slice(2), processTerminal(), interrupted)
