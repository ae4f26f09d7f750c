/** The commands about who may ask a running agent: what they understand, and which function carries each out. */
import type { Command } from '../commander.ts'
import type { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'

type Add = (name: string, description: string, examples: readonly string[]) => Command

export function addAccess(add: Add, terminal: Terminal, leave: (exit: ExitCode) => void): void {
  add('password', "Set the password of the page: asks for it and writes its hash, the page's password_file.", [
    'tieline password /etc/tieline/page.password',
  ])
    .argument('<file>', 'where the hash is kept; the agent reads it at its next start')
    .action(async (file: string) => {
      const { setPassword } = await import('./access.ts')
      leave(await setPassword(file, terminal))
    })

  add(
    'token',
    "Make a token for a machine that asks the API: says it once, and adds its hash to the page's token_file.",
    [
      'tieline token prometheus /etc/tieline/page.tokens > token',
      'curl -H "Authorization: Bearer $(cat token)" http://gateway:8480/metrics',
    ],
  )
    .argument('<name>', 'whose it is: lower-case letters, digits and dashes')
    .argument('<file>', 'where the hashes are kept; the agent reads it at its next start')
    .action(async (name: string, file: string) => {
      const { makeToken } = await import('./access.ts')
      leave(await makeToken(name, file, terminal))
    })
}
