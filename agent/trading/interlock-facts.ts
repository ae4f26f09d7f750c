/** What trading and the light client know of a line, for the interlock. */
import { toHex } from '../../protocol/bytes.ts'
import type { LineFacts } from '../../protocol/safety/facts.ts'
import type { LightAgent } from '../light/run.ts'
import type { EndRun } from './end-run.ts'

/** Whatever is not known is undefined, which the permit takes for no. */
export function factsOf(end: EndRun | undefined, light: LightAgent): LineFacts {
  const deal = end?.runner?.deal()
  const lock = end?.runner?.lockProof()
  const running = deal !== undefined && (deal.state === 'armed' || deal.state === 'started' || deal.state === 'stopped')
  const { state } = light.health()
  return {
    deal: running ? { id: toHex(deal.hash), start: deal.contract.start, end: deal.contract.end } : undefined,
    proof: running && lock !== undefined ? { height: lock.height, headerTime: lock.headerTime } : undefined,
    light: state === 'ok' ? 'healthy' : state === 'no-witness' ? 'no-witness' : 'halted',
    ownHeartbeat: end?.beatAt,
    peer:
      end?.pulse.aliveAt === undefined
        ? undefined
        : { heard: end.pulse.aliveAt, line: end.peerContact, welded: end.peerWelded },
  }
}
