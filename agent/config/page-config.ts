/** The page and its API: where they listen, and what is asked of those who come. */
import * as forms from './literal-forms.ts'
import * as literals from './literals.ts'
import { about, flag, group, path, scalar, set, v } from './schema-words.ts'
import type { Path } from './yaml.ts'

export interface PageConfig {
  readonly host: string
  readonly port: number
  readonly off: boolean
  /** Holds the scrypt hash of the password of people. */
  readonly passwordFile?: string
  /** Holds the SHA-256 of each token of a machine. */
  readonly tokenFile?: string
}

export const pageForm = v.pipe(
  group({
    listen: about(
      'Where the page and its API answer; beyond this machine only with a password or tokens.',
      v.optional(
        scalar(literals.parseHostPort, 'an address of this machine and a port, as in 127.0.0.1:8480', forms.HOST_PORT),
        '127.0.0.1:8480',
      ),
    ),
    off: about('Whether there is no page.', v.optional(flag, 'false')),
    password_file: about('File of the hash of the password (tieline password).', v.optional(path)),
    token_file: about('File of the hashes of tokens for machines (tieline token).', v.optional(path)),
  }),
  v.transform(
    ({ listen, off, password_file: passwordFile, token_file: tokenFile }): PageConfig => ({
      ...listen,
      off,
      ...set({ passwordFile, tokenFile }),
    }),
  ),
)

export function checkPage(page: PageConfig, report: (path: Path, what: string, hint?: string) => void): void {
  if (page.off || literals.isLoopback(page.host)) return
  if (page.passwordFile === undefined && page.tokenFile === undefined) {
    report(
      ['page', 'listen'],
      `can be reached from other machines, and nothing is asked of them`,
      'name a password_file (tieline password) or a token_file (tieline token), or listen on 127.0.0.1',
    )
  }
}
