/** The one file that knows commander: programs that throw instead of ending the process, and talk where they are told. */
import { Command, CommanderError, Help } from 'commander'
import { EXIT, type ExitCode } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'

export { Command }

/** A program, or a command of `parent`, with our manners: help on stdout, complaints on stderr, never an exit of its own. */
export function program(name: string, terminal: Terminal, parent = ''): Command {
  return new Command(name)
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ optionDescription })
    .configureOutput({
      writeOut: terminal.out,
      writeErr: terminal.err,
      // One line: commander puts its suggestion on another.
      outputError: (text, write) =>
        write(
          `${parent}${name}: ${text
            .trim()
            .replace(/^error: /, '')
            .replaceAll('\n', ' ')}; --help shows how\n`,
        ),
    })
}

/** With its default, but of an option that may be given several times: that none was given says nothing. */
const optionDescription: Help['optionDescription'] = option =>
  Array.isArray(option.defaultValue) ? option.description : Help.prototype.optionDescription(option)

/** Carries the command out. A usage mistake has already been explained by the time its code is returned. */
export async function carryOut(command: Command, args: readonly string[]): Promise<ExitCode | undefined> {
  try {
    await command.parseAsync(args, { from: 'user' })
    return undefined
  } catch (error) {
    // commander ends by throwing: help and version with 0, mistakes in the arguments with 1.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    throw error
  }
}
