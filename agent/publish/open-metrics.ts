/** An agent's metric families, in base units: what Prometheus and its kin scrape from `GET /metrics`. */

import type { Handler } from '../../drivers/http/server.ts'
import { readUsage } from '../../drivers/process/usage.ts'
import { readVersion } from '../../drivers/version.ts'
import { utf8 } from '../../protocol/bytes.ts'
import type { Agent } from '../compose.ts'
import type { PublishCounts } from './counts.ts'
import { type Family, openMetrics, type Sample } from './open-metrics-text.ts'
import { processFamilies } from './process-metrics.ts'
import { baseDecimalOf, baseUnitOf, decimalOf, REGISTER_NAMES } from './registers.ts'

const TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

/** `GET /metrics`. */
export const metricsRoute =
  (agent: Agent, published: Pick<PublishCounts, 'families'>): Handler =>
  () => {
    const { site } = agent.config
    const text = openMetrics([...familiesOf(agent), ...published.families({ site }), ...processFamilies(readUsage())])
    return { kind: 'bytes', status: 200, type: TYPE, bytes: utf8(text) }
  }

export function familiesOf(agent: Agent): readonly Family[] {
  const { config } = agent
  const site = { site: config.site }
  const meters = Object.keys(config.meters).map(meter => ({ meter, latest: agent.metering.latest(meter) }))
  const contacts = config.directLines.flatMap(({ id }) => agent.relays.view(id)?.contacts ?? [])
  const head = agent.light.head()
  const balance = agent.account.balance()
  const { bytesWritten } = agent.wear()
  return [
    {
      ...{ name: 'tieline', type: 'info', help: 'This agent.' },
      samples: [{ labels: { ...site, role: config.role }, value: '1' }],
    },
    {
      ...{ name: 'tieline_build', type: 'info', help: 'The version of the software.' },
      samples: [{ labels: { version: readVersion() }, value: '1' }],
    },
    ...meterFamilies(site, meters),
    gauge(
      'tieline_meter_last_reading_timestamp_seconds',
      'When the newest certain reading was taken; absent while there is none.',
      meters.flatMap(({ meter, latest }) =>
        latest === undefined ? [] : [{ labels: { ...site, meter }, value: seconds(latest.reading.taken) }],
      ),
      'seconds',
    ),
    gauge(
      'tieline_meter_fresh',
      'Whether the meter has a certain reading that is not stale.',
      meters.map(({ meter, latest }) => ({ labels: { ...site, meter }, value: flag(latest !== undefined) })),
    ),
    gauge(
      'tieline_contact_closed',
      'Whether a contact is commanded closed, and whether it is seen closed; absent where it is not known.',
      contacts.flatMap(({ contact, commanded, seen }) => [
        { labels: { ...site, contact, as: 'commanded' }, value: flag(commanded === 'closed') },
        ...(seen === 'unknown' ? [] : [{ labels: { ...site, contact, as: 'seen' }, value: flag(seen === 'closed') }]),
      ]),
    ),
    gauge(
      'tieline_ledger_verified_height',
      'Height of the newest header that this agent has verified.',
      head === undefined
        ? []
        : [{ labels: { ...site, chain: config.ledger?.chain ?? '' }, value: String(head.height) }],
    ),
    gauge(
      'tieline_ledger_verified_timestamp_seconds',
      'When the block of that header was made.',
      head === undefined ? [] : [{ labels: { ...site, chain: config.ledger?.chain ?? '' }, value: seconds(head.time) }],
      'seconds',
    ),
    gauge(
      'tieline_deals',
      'Deals of direct lines that this agent remembers, by their state.',
      countedBy(agent.trading.deals().map(({ runner }) => runner.deal().state)).map(([state, count]) => ({
        ...{ labels: { ...site, state }, value: String(count) },
      })),
    ),
    gauge(
      'tieline_health_raised',
      'What is wrong now; absent once it is well again.',
      agent.health.items().map(({ name, fault }) => ({ labels: { ...site, name, code: fault.code }, value: '1' })),
    ),
    gauge(
      'tieline_balance_coins',
      'Balance of the account on the ledger, in coins.',
      balance === undefined ? [] : [{ labels: site, value: decimalOf({ value: balance, scaler: -6 }) }],
    ),
    {
      ...{ name: 'tieline_journal_written_bytes', type: 'counter', unit: 'bytes' },
      help: 'Bytes written to the journal since this agent started.',
      samples: [{ labels: site, value: String(bytesWritten) }],
    },
  ]
}

function meterFamilies(
  site: Readonly<Record<string, string>>,
  meters: readonly { readonly meter: string; readonly latest: ReturnType<Agent['metering']['latest']> }[],
): Family[] {
  const families = new Map<string, Family & { readonly samples: Sample[] }>()
  for (const name of REGISTER_NAMES) {
    const { metric, kind, help } = name
    const family = families.get(metric) ?? { name: metric, type: kind, unit: baseUnitOf(name), help, samples: [] }
    families.set(metric, family)
    for (const { meter, latest } of meters) {
      const value = latest?.reading.values.find(({ obis }) => obis === name.obis)
      const decimal = value && baseDecimalOf(name, value)
      if (decimal !== undefined) family.samples.push({ labels: { ...site, meter, ...name.labels }, value: decimal })
    }
  }
  return [...families.values()]
}

const gauge = (name: string, help: string, samples: readonly Sample[], unit?: string): Family => ({
  ...{ name, type: 'gauge', help, samples },
  ...(unit === undefined ? {} : { unit }),
})

const flag = (on: boolean): string => (on ? '1' : '0')

/** Milliseconds as seconds, exactly. */
const seconds = (ms: number): string => decimalOf({ value: BigInt(ms), scaler: -3 })

function countedBy<T>(items: readonly T[]): [T, number][] {
  const counts = new Map<T, number>()
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1)
  return [...counts]
}
