/** `tieline light`: asks the running agent what its light client believes, and on whose word. */
import { instant, isoTime } from '../../../protocol/time.ts'
import type { LightSaid } from '../../web/answers.ts'
import { type AskOptions, askAgent, naming } from '../ask-agent.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import type { Terminal } from '../terminal.ts'
import { duration } from './quantities.ts'

/** Exits with 0 where the newest header is believed now. */
export async function showLight(options: AskOptions, terminal: Terminal): Promise<ExitCode> {
  const said = await askAgent({
    ...{ command: 'light', options, terminal, path: '/api/light' },
    is: naming<LightSaid>('sources'),
  })
  if (typeof said === 'number') return said
  const ok = said.state === 'ok'
  if (options.json) terminal.out(jsonLine({ ok, ...said }))
  else terminal.out(lightText(said))
  return ok ? EXIT.ok : EXIT.no
}

const WORDS: Readonly<Record<string, string>> = {
  ok: 'the newest header is verified, and a witness has the same',
  'no-witness': 'no witness confirms the newest header: nothing new is believed',
  stale: 'no newer header for too long: nothing is proven by it',
  refused: 'a node sent something that does not verify',
  diverged: 'validators signed two chains: nothing is believed until trust is anchored anew',
}

function lightText({ chain, trust, state, fault, head, sources, counts, lastAlarm }: LightSaid): string {
  if (trust === undefined) return 'no ledger is configured, so nothing is believed of one\n'
  const lines = [
    `${chain}: ${WORDS[state] ?? state}${fault === undefined ? '' : ` (${fault.text})`}`,
    `trust     from height ${trust.height}, ${trust.hash}`,
    head === undefined
      ? 'head      none verified yet'
      : `head      ${head.height}, ${duration(head.ageMs)} old, checked ${head.signed} of ${head.validators} validators, ${head.witnessed ? '' : 'not '}confirmed by a witness`,
    ...sources.map(
      ({ name, role, said, strikes }) =>
        `${role.padEnd(9)} ${name}: ${said === undefined ? (role === 'primary' ? 'followed' : 'not asked yet') : `${said.what} at ${said.height}`}${strikes === 0 ? '' : `, ${strikes} failures in a row`}`,
    ),
    `counts    ${counts.headersVerified} headers and ${counts.proofsVerified} proofs verified, ${counts.refusals} refused`,
    lastAlarm === undefined
      ? 'alarm     none since the agent was started'
      : `alarm     ${lastAlarm.state} at ${isoTime(instant(lastAlarm.at))}${lastAlarm.fault === undefined ? '' : ` (${lastAlarm.fault.text})`}`,
  ]
  return `${lines.join('\n')}\n`
}
