/** How the bench and the simulator read their flags: a mistake is one line and exit code 2. */
import { type Command, carryOut } from '../../agent/cli/commander.ts'
import { EXIT, type ExitCode } from '../../agent/cli/exit-codes.ts'
import type { Terminal } from '../../agent/cli/terminal.ts'
import { FAULT_NAMES, type FaultName } from './result.ts'

export class UsageError extends Error {}

export const whole = (name: string, least: number, most: number) => (text: string) => {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw new UsageError(`${name} must be a whole number from ${least} to ${most}, not "${text}"`)
}

/** For an option that may be given several times. */
export const collect =
  <T>(read: (text: string) => T) =>
  (text: string, all: readonly T[]) => [...all, read(text)]

export function faultName(text: string): FaultName {
  const name = FAULT_NAMES.find(known => known === text)
  if (name !== undefined) return name
  throw new UsageError(`--fault knows no "${text}"; it knows ${FAULT_NAMES.join(', ')}`)
}

/** Carries a command out; the code to exit with, or undefined where it ran. Everything that had to be said has been said. */
export async function readFlags(
  command: Command,
  args: readonly string[],
  terminal: Terminal,
): Promise<ExitCode | undefined> {
  try {
    return await carryOut(command, args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    terminal.err(`${command.name()}: ${error.message}\n`)
    return EXIT.usage
  }
}
