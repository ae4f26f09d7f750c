/** `tieline password` and `tieline token`. Neither secret is ever an argument, which other programs can see. */
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { writePasswordFile } from '../../../drivers/keys/password-file.ts'
import { addToken } from '../../../drivers/keys/token-file.ts'
import { type Fault, faultLine } from '../../../protocol/result.ts'
import { EXIT, type ExitCode, exitOf } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import { misused } from '../usage.ts'

/** Asks twice: nobody could see a slip. */
export async function setPassword(file: string, terminal: Terminal): Promise<ExitCode> {
  const refuse = (fault: Fault): ExitCode => {
    terminal.err(`tieline password: ${faultLine(fault)}\n`)
    return exitOf(fault)
  }
  if (terminal.ask === undefined) return refuse({ code: 'keys.no-terminal', hint: 'run it in a terminal' })
  const first = await terminal.ask('New password of the page: ')
  const again = first === undefined ? undefined : await terminal.ask('The same again: ')
  if (first === undefined || again === undefined)
    return refuse({ code: 'keys.given-up', hint: 'nothing was made or changed' })
  if (first !== again) return refuse({ code: 'page.passwords-differ', hint: 'nothing was made or changed; try again' })
  const written = await writePasswordFile(file, first, systemEntropy)
  if (!written.ok) return refuse(written.fault)
  terminal.err(`${file}: written; name it as page.password_file and start the agent again\n`)
  return EXIT.ok
}

/** The token is the only line of stdout. */
export async function makeToken(name: string, file: string, terminal: Terminal): Promise<ExitCode> {
  if (!/^[a-z0-9-]{1,32}$/.test(name))
    return misused('token', 'a name has at most 32 lower-case letters, digits and dashes', terminal)
  const made = await addToken(file, name, systemEntropy)
  if (!made.ok) {
    terminal.err(`tieline token: ${faultLine(made.fault)}\n`)
    return exitOf(made.fault)
  }
  terminal.out(`${made.value}\n`)
  terminal.err(`${file}: the hash is added; name it as page.token_file and start the agent again\n`)
  return EXIT.ok
}
