/**
 * What a meter counted, for machines and the page:
 *
 *     GET /api/history?meter=grid&register=import&period=day&from=1795000000000&to=1795604800000
 *
 *     {"meter": "grid", "register": "import", "period": "day", "untimed": 0, "buckets": [
 *       {"start": 1794956400000, "end": 1795042800000, "meterId": "19041234", "readings": 5760, "complete": true,
 *        "touched": [], "energyMwh": "12345678", "reach": {"from": 1794956395000, "to": 1795042795000}},
 *       {..., "readings": 0, "complete": false, "touched": ["gap"], "absent": ["no-reading"]}]}
 *
 * Times are Unix milliseconds. Energies are milliwatt-hours as text: they may have more digits than a number holds.
 */
import type { Handler, HttpReply } from '../../drivers/http/server.ts'
import type { Fault } from '../../protocol/result.ts'
import { OBIS } from '../../protocol/telegram/obis.ts'
import { instant } from '../../protocol/time.ts'
import type { EnergyAsked, History } from '../metering/history.ts'
import type { HistorySaid } from './answers.ts'

const REGISTERS = { import: OBIS.energyImport, export: OBIS.energyExport } as const
const PERIODS = ['quarter', 'day', 'month'] as const

/** `meters` are those of the configuration; without a history it is said that there is none. */
export function historyRoute(history: Pick<History, 'energy'> | undefined, meters: ReadonlySet<string>): Handler {
  return async ({ query }) => {
    if (history === undefined)
      return refusal(503, { code: 'history.none', hint: 'its index could not be opened; see the log' })
    const asked = readQuery(query, meters)
    if ('code' in asked) return refusal(400, asked)
    const { register, ...energyAsked } = asked
    const answer = await history.energy(energyAsked)
    if (!answer.ok) return refusal(answer.fault.code === 'history.range' ? 400 : 503, answer.fault)
    const buckets = answer.value.buckets.map(({ energy, ...bucket }) =>
      energy === undefined ? bucket : { ...bucket, energyMwh: String(energy) },
    )
    const { meter, period } = asked
    const value: HistorySaid = { meter, register, period, untimed: answer.value.untimed, buckets }
    return { kind: 'json', status: 200, value }
  }
}

const refusal = (status: number, fault: Fault): HttpReply => ({ kind: 'json', status, value: fault })

type Asked = EnergyAsked & { readonly register: keyof typeof REGISTERS }

function readQuery(query: URLSearchParams, meters: ReadonlySet<string>): Asked | Fault {
  const [meter, register, period] = [query.get('meter') ?? '', query.get('register') ?? '', query.get('period')]
  const time = (name: string) => {
    const text = query.get(name) ?? ''
    return /^\d{1,15}$/.test(text) ? instant(Number(text)) : undefined
  }
  const [from, to] = [time('from'), time('to')]
  const known = PERIODS.find(each => each === period)
  const wrong = (parameter: string, hint: string): Fault => ({ code: 'history.query', parameter, hint })
  if (!meters.has(meter)) return wrong('meter', `one of ${[...meters].join(', ')}`)
  if (register !== 'import' && register !== 'export') return wrong('register', 'import or export')
  if (known === undefined) return wrong('period', PERIODS.join(', '))
  if (from === undefined) return wrong('from', 'Unix milliseconds')
  if (to === undefined) return wrong('to', 'Unix milliseconds')
  return { meter, register, obis: REGISTERS[register], from, to, period: known }
}
