/**
 * What the light client believes, and on whose word:
 *
 *     GET /api/light      {site, chain, trust: {height, hash}, state, fault, head: {height, hash, time, ageMs, signed, validators,
 *                          witnessed}, sources: [{name, role, strikes, said: {what, height}}], counts, lastAlarm}
 *
 * `state` is ok, no-witness, stale, refused or diverged; `lastAlarm` is the last of the others since the agent was started, of
 * which the one that is now counts too. Heights are text, times Unix milliseconds, ages of the head's own time.
 */
import type { Handler } from '../../drivers/http/server.ts'
import type { Clock } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import type { Fault } from '../../protocol/result.ts'
import type { Agent } from '../compose.ts'
import type { LightSaid, SaidReason } from './answers.ts'
import { said } from './said-reason.ts'

type Owner = Pick<Agent, 'config' | 'light'>

const because = (fault: Fault | undefined): { readonly fault?: SaidReason } =>
  fault === undefined ? {} : { fault: said(fault) }

/** To be made when the agent starts: alarms are heard from then on. */
export function createLightView({ config, light }: Owner, clock: Clock): () => LightSaid {
  const { site, ledger } = config
  let lastAlarm: LightSaid['lastAlarm']
  const hear = ({ state, fault }: ReturnType<typeof light.health>) => {
    if (state !== 'ok') lastAlarm = { state, at: clock.now(), ...because(fault) }
  }
  hear(light.health())
  light.onHealth(hear)
  return () => {
    const head = light.head()
    const { state, fault } = light.health()
    return {
      ...{ site, chain: ledger?.chain ?? '', state, counts: light.stats() },
      ...(ledger === undefined
        ? {}
        : { trust: { height: ledger.trust.height.toString(), hash: toHex(ledger.trust.hash) } }),
      ...because(fault),
      ...(head === undefined
        ? {}
        : {
            head: {
              ...{ height: head.height.toString(), hash: toHex(head.hash), time: head.time },
              ageMs: clock.now() - head.time,
              ...{ signed: head.signedBy.length, validators: head.validators, witnessed: head.witnessed },
            },
          }),
      sources: light.sources().map(({ said: word, ...source }) => ({
        ...source,
        ...(word === undefined ? {} : { said: { what: word.what, height: word.height.toString() } }),
      })),
      ...(lastAlarm === undefined ? {} : { lastAlarm }),
    }
  }
}

export const lightRoute =
  (view: () => LightSaid): Handler =>
  () => ({ kind: 'json', status: 200, value: view() })
