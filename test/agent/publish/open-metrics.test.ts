/** A running site's metrics, read by the reference parser of OpenMetrics (prometheus_client, which Debian packages). */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { familiesOf } from '../../../agent/publish/open-metrics.ts'
import { openMetrics } from '../../../agent/publish/open-metrics-text.ts'
import { processFamilies } from '../../../agent/publish/process-metrics.ts'
import { baseDecimalOf, decimalOf, REGISTER_NAMES, registerName } from '../../../agent/publish/registers.ts'
import { readUsage } from '../../../drivers/process/usage.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { runningMaple } from './running-maple.ts'

const test = suite('OpenMetrics')

/** Debian's interpreter: it has Debian's packages. */
const PYTHON = '/usr/bin/python3'
const PARSE = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
print(json.dumps([[f.name, f.type, f.unit, [[s.name, s.labels, s.value] for s in f.samples]] for f in parse(sys.stdin.read())]))
`
const noParser =
  spawnSync(PYTHON, ['-c', 'import prometheus_client.openmetrics.parser']).status === 0 ? undefined : 'no-prometheus'

type Parsed = readonly (readonly [
  name: string,
  type: string,
  unit: string,
  samples: readonly (readonly [name: string, labels: Record<string, string>, value: number])[],
])[]

function parsed(text: string): Parsed {
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', PARSE], { input: text, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

test.skipIf(noParser, 'a running site is read by another implementation, to the last digit of its meters', async () => {
  const { agent, stop } = await runningMaple()
  const families = new Map(parsed(openMetrics(familiesOf(agent))).map(family => [family[0], family]))
  for (const meter of Object.keys(agent.config.meters)) {
    for (const { obis, value, scaler } of agent.metering.latest(meter)!.reading.values) {
      const name = registerName(obis)!
      const [, type, unit, samples] = families.get(name.metric)!
      assert.is(type, name.kind)
      assert.ok(name.metric.endsWith(`_${unit}`))
      const [sample] = samples.filter(([, labels]) => {
        return labels['meter'] === meter && Object.entries(name.labels).every(([key, text]) => labels[key] === text)
      })
      const own = Number(value) * 10 ** scaler * (name.unit === 'Wh' ? 3600 : 1)
      assert.ok(Math.abs(sample![2] - own) <= Math.abs(own) * 1e-12, `${meter} ${name.id}: ${sample![2]} for ${own}`)
    }
  }
  const fresh = families.get('tieline_meter_fresh')![3]
  assert.equal(
    fresh.map(([, { meter }, value]) => [meter, value]),
    Object.keys(agent.config.meters).map(name => [name, 1]),
  )
  assert.match(families.get('tieline_build')![3][0]![1]['version']!, /^\d+\.\d+\.\d+/)
  const [height] = families.get('tieline_ledger_verified_height')![3]
  assert.is(BigInt(height![2]), agent.light.head()!.height)
  const [made] = families.get('tieline_ledger_verified_timestamp_seconds')![3]
  assert.ok(Math.abs(made![2] * 1000 - agent.light.head()!.time) < 1)
  const contacts = families.get('tieline_contact_closed')![3]
  const commanded = contacts.filter(([, { as }]) => as === 'commanded').map(([, { contact }, on]) => [contact, on])
  const views = agent.config.directLines.flatMap(({ id }) => agent.relays.view(id)!.contacts)
  assert.ok(views.length > 0)
  assert.equal(
    commanded,
    views.map(one => [one.contact, one.commanded === 'closed' ? 1 : 0]),
  )
  await stop()
})

test.skipIf(noParser, 'what a person may name so that it breaks a line comes back as it was', () => {
  const site = 'a "quoted" \\name\nin two lines'
  const family = { name: 'x', type: 'gauge', help: site, samples: [{ labels: { site }, value: '1' }] } as const
  assert.equal(parsed(openMetrics([family])), [['x', 'gauge', '', [['x', { site }, 1]]]])
})

test.skipIf(noParser, 'the process is told as the kernel has it', () => {
  const told = new Map(
    parsed(openMetrics(processFamilies(readUsage()))).map(([name, , , samples]) => [name, samples[0]![2]]),
  )
  const status = readFileSync('/proc/self/status', 'utf8')
  const resident = 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1])
  assert.ok(Math.abs(told.get('process_resident_memory_bytes')! / resident - 1) < 0.3)
  assert.ok(told.get('process_open_fds')! >= 3)
  assert.ok(Math.abs(told.get('process_start_time_seconds')! - (Date.now() / 1000 - process.uptime())) < 60)
  assert.ok(told.get('process_cpu_seconds')! > 0)
})

test('a family without a sample is not told, and the text ends as the standard asks', () => {
  assert.is(openMetrics([{ name: 'x', type: 'gauge', help: '', samples: [] }]), '# EOF\n')
})

test('decimals are exact, whatever their sign and scaler', () => {
  const rows = [
    [4_426_218n, -3, '4426.218'],
    [-5n, -3, '-0.005'],
    [0n, -2, '0.00'],
    [12n, 2, '1200'],
    [-7n, 0, '-7'],
  ] as const
  for (const [value, scaler, text] of rows) assert.is(decimalOf({ value, scaler }), text)
  const energy = registerName(OBIS.energyImport)!
  assert.is(
    baseDecimalOf(energy, { obis: OBIS.energyImport, value: 1_234_567n, scaler: -3, unit: 'Wh' }),
    '4444441.200',
  )
  assert.is(baseDecimalOf(energy, { obis: OBIS.energyImport, value: 1n, scaler: 0, unit: 'varh' }), undefined)
})

test('no two registers share an id, or a metric with the same labels', () => {
  const keys = REGISTER_NAMES.map(({ metric, labels }) => `${metric} ${JSON.stringify(labels)}`)
  assert.is(new Set(keys).size, REGISTER_NAMES.length)
  assert.is(new Set(REGISTER_NAMES.map(({ id }) => id)).size, REGISTER_NAMES.length)
})

test.run()
