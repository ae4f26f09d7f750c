/** Why a charger is told no more than it is, as a sentence that a person understands. */
import { type Fault, type FaultDetail, faultLine } from '../../protocol/result.ts'
import type { ChargerReason } from '../../protocol/safety/charger-rules.ts'
import type { GuardReason } from '../../protocol/safety/site-guard.ts'
import { sentenceOf } from '../relays/sentences.ts'

type Own =
  | Exclude<ChargerReason['code'], `permit.${string}`>
  | GuardReason['code']
  | 'permit.manual'
  | 'permit.off-time'

const amperes = (ma: FaultDetail): string => (typeof ma === 'number' ? `${ma / 1000} A` : 'nothing known')
const seconds = (ms: FaultDetail): string => `${Math.round(Number(ms) / 1000)} s`

const SENTENCES: Readonly<Record<Own, (fault: Fault) => string>> = {
  'permit.manual': () => 'a person has taken the chargers over: manual is on',
  'permit.off-time': ({ offMs, limitMs }) => `it has stood still for ${seconds(offMs)}, less than ${seconds(limitMs)}`,
  'charger.no-car': () => 'no car is there',
  'charger.state': ({ state }) =>
    state === 'unknown' ? 'its state is not known' : `it reports a fault, in state ${String(state)}`,
  'charger.no-session': ({ by }) =>
    typeof by === 'string' ? `no session could be begun: ${by}` : 'its session is not on record yet, or about to end',
  'charger.stands-still': () => 'it is called to stand still',
  'charger.charging': ({ state }) => `its phases are not switched while it charges, in state ${String(state)}`,
  'charger.not-stopped': ({ heldMa }) =>
    `its phases are not switched before it holds 0, and ${amperes(heldMa)} may flow`,
  'guard.reach': ({ countedMa }) => `it does not answer: it is counted with ${amperes(countedMa)}`,
  'guard.meter': ({ fuse }) => `the meter of the fuse ${String(fuse)} is silent`,
  'guard.fuse': ({ fuse, phase, freeMa }) =>
    `the fuse ${String(fuse)} has ${amperes(freeMa)} left on L${String(phase)}`,
  'guard.waiting': ({ fuse }) => `others behind the fuse ${String(fuse)} have not come down yet`,
}

export const chargerSentence = (fault: Fault): string => {
  if (Object.hasOwn(SENTENCES, fault.code)) return SENTENCES[fault.code as Own](fault)
  return fault.code.startsWith('permit.') ? sentenceOf(fault) : faultLine(fault)
}
