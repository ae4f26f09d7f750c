/** The passphrase of the sealed key files, where the configuration names no file for it. */
import { readSecretLine } from '../../../drivers/keys/guarded-file.ts'
import { fail, ok, type Result } from '../../../protocol/result.ts'
import type { Terminal } from '../terminal.ts'

/** Name of the credential, a file whose first line is the passphrase, that systemd lends (LoadCredential=, LoadCredentialEncrypted=). */
const CREDENTIAL = 'tieline-passphrase'

/** By Ctrl-C or Ctrl-D. */
const givenUp = fail({ code: 'keys.given-up', hint: 'nothing was made or changed' })

/**
 * A credential of systemd's, else a person at the terminal; never an argument or a variable, which other programs can see.
 * `twice` is for a new one, which nobody could correct later.
 */
export async function readPassphrase(terminal: Terminal, twice = false): Promise<Result<string>> {
  const folder = terminal.env['CREDENTIALS_DIRECTORY']
  if (folder !== undefined) {
    const lent = await readSecretLine(`${folder}/${CREDENTIAL}`)
    if (lent.ok || lent.fault.code !== 'file.missing') return lent
  }
  const hint = `name a passphrase_file under keys, lend it by LoadCredential=${CREDENTIAL}, or run it in a terminal`
  if (terminal.ask === undefined) return fail({ code: 'keys.no-passphrase', hint })
  const answer = await terminal.ask('Passphrase of the keys: ')
  if (answer === undefined) return givenUp
  const again = twice ? await terminal.ask('The same again: ') : answer
  if (again === undefined) return givenUp
  return again === answer ? ok(answer) : fail({ code: 'keys.passphrases-differ', hint: 'nothing was made; try again' })
}
