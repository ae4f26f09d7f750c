import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { TELEGRAMS } from '../../drivers/meters/telegrams.ts'
import { assert, suite } from '../harness.ts'
import { figureOf } from './measure.ts'
import type { Row } from './report.ts'
import { p1Peer, smlPeer } from './smartmeter-obis.ts'

const test = suite('the bench of telegrams')

test('--quick --json: every kind of telegram, its rate, and not one wrong reading', () => {
  const args = ['--import', 'tsx', fileURLToPath(new URL('./telegram.ts', import.meta.url)), '--quick', '--json']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.is(status, 0, stderr)
  const { command, rows } = JSON.parse(stdout) as { readonly command: string; readonly rows: readonly Row[] }
  assert.is(command, 'npm run bench:telegram -- --quick --json')
  assert.is(new Set(rows.map(({ id }) => id)).size, rows.length, 'an id twice')
  for (const kind of TELEGRAMS.keys())
    assert.ok(
      rows.some(({ id }) => id.startsWith(kind)),
      `nothing about ${kind}`,
    )
  for (const { id, value, samples, clock } of rows) {
    assert.ok(id.endsWith('.flipped') ? value === 0 : value > 0, `${id}: ${value}`)
    if (samples === undefined) continue
    const rates = samples.map(one => one.count / (clock === 'wall' ? one.wallSeconds : one.cpuSeconds))
    assert.is(value, figureOf(rates).median, id)
  }
  // What is compared against must itself have been measured, and P1 by it is known to be wrong often.
  const peer = (id: string) => rows.find(row => row.id === id)?.floor?.value ?? 0
  assert.ok(peer('sml.telegrams') > 0 && peer('dsmr.telegrams') > 0)
  assert.ok(peer('dsmr.flipped') > 10, `${peer('dsmr.flipped')} %`)
}, 120_000)

test('the peer reads a telegram whole, and nothing of a scrap', () => {
  const p1 = ['/TLN5 x', '', '1-0:1.8.1(000004.426*kWh)', '1-0:1.7.0(00.244*kW)', '!0000', ''].join('\r\n')
  assert.equal(p1Peer()(Buffer.from(p1)), ['1-0:1.8.1 4.426 kWh', '1-0:1.7.0 0.244 kW'])
  assert.equal(p1Peer()(Buffer.from(p1.slice(0, 40))), [])
  assert.equal(smlPeer()(Buffer.from(p1)), [])
})

test.run()
