/** `tieline wallet`: asks the running agent what its account was last proven to hold. */
import { instant, isoTime } from '../../../protocol/time.ts'
import type { WalletSaid } from '../../web/answers.ts'
import { type AskOptions, askAgent, naming } from '../ask-agent.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import type { Terminal } from '../terminal.ts'
import { coins } from './quantities.ts'

export async function showWallet(options: AskOptions, terminal: Terminal): Promise<ExitCode> {
  const said = await askAgent({
    ...{ command: 'wallet', options, terminal, path: '/api/wallet' },
    is: naming<WalletSaid>('account'),
  })
  if (typeof said === 'number') return said
  if (options.json) terminal.out(jsonLine({ ok: true, ...said }))
  else terminal.out(walletText(said))
  return EXIT.ok
}

function walletText({ chain, account, balanceMicro, lockedMicro, sequence, proven }: WalletSaid): string {
  if (chain === '') return 'no ledger is configured, so there is no money\n'
  const balance =
    proven === undefined || balanceMicro === undefined
      ? 'balance   not proven yet\n'
      : `balance   ${coins(balanceMicro)}, proven at height ${proven.height} by ${proven.signed} of ${proven.validators} validators, ${isoTime(instant(proven.time))}\n`
  return `account   ${account} on ${chain}\n${balance}locked    ${coins(lockedMicro)} for deals that are not over\n${
    sequence === undefined ? '' : `sequence  ${sequence}, of the next transaction\n`
  }`
}
