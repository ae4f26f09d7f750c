/**
 * A site of a street is backed up, goes on signing, and is restored to what it was: nothing that it signed then is signed again
 * as something else, and its neighbour trades with it. Judged by the envelopes in both journals, and by the neighbour.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { visitSigned } from '../../../agent/cli/evidence/journal-records.ts'
import type { Agent } from '../../../agent/compose.ts'
import { openFolder } from '../../../drivers/store/disk.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { envelopeHash, parseSign1 } from '../../../protocol/crypto/cose.ts'
import { CONTEXT_PURPOSE, CONTEXT_REFERENCE_BYTES, parseContext } from '../../../protocol/reading/context.ts'
import { parseEvent } from '../../../protocol/reading/event.ts'
import { parseReading } from '../../../protocol/reading/reading.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { runTieline } from '../cli/cli-run.ts'
import { servedStreet } from '../cli/served-street.ts'
import { backUpSite, dump, load } from './street-backup.ts'

const test = suite('restore')
const folder = mkdtempSync(join(tmpdir(), 'tieline-restore-test-'))

const at = await servedStreet()
const { site, ports, running } = at

/** What was signed, by who, in which boot and under which number: readings, gaps and events. */
async function signedIn(journal: string): Promise<Map<string, string>> {
  const reader = must(await openJournalReader(must(await openFolder(journal))))
  const contexts = new Map<string, { readonly boot: number; readonly meterId: string }>()
  const signed = new Map<string, string>()
  must(
    await visitSigned(reader, ({ kind, bytes }) => {
      const sign1 = parseSign1(bytes)
      if (!sign1.ok) return
      const { payload } = sign1.value
      if (kind === 'context') {
        const reference = envelopeHash(sign1.value, CONTEXT_PURPOSE).subarray(0, CONTEXT_REFERENCE_BYTES)
        return void contexts.set(toHex(reference), must(parseContext(payload)))
      }
      const event = kind === 'event' ? parseEvent(payload) : undefined
      if (event?.ok) return void signed.set(`event ${event.value.boot} ${event.value.sequence}`, toHex(bytes))
      const reading = parseReading(payload)
      if (!reading.ok) return
      const context = contexts.get(toHex(reading.value.context))
      assert.ok(context !== undefined, 'a reading of a context that is not there')
      signed.set(`${kind} ${context!.meterId} ${context!.boot} ${reading.value.sequence}`, toHex(bytes))
    }),
  )
  return signed
}

/** Numbers that stand for two things. */
const twice = (one: Map<string, string>, other: Map<string, string>): string[] =>
  [...one].flatMap(([name, bytes]) => ((other.get(name) ?? bytes) === bytes ? [] : [name]))

/** What the site signs, started with what stands in a folder. */
async function again(from: string, during: () => Promise<void>): Promise<Map<string, string>> {
  await load(ports, site, from)
  must(await awaited(ports.time, running.start(site)))
  await during()
  await awaited(ports.time, running.end(site))
  return signedIn(join(await dump(ports, site, join(folder, `after-${readdirSync(folder).length}`)), 'journal'))
}

async function pass(seconds: number): Promise<void> {
  for (let i = 0; i < seconds; i += 10) await ports.time.advance(10_000)
}

await awaited(ports.time, running.end(site))
const { made, configFile, restoreInto } = await backUpSite(ports, site, folder)
must(await awaited(ports.time, running.start(site)))
await pass(120)
await awaited(ports.time, running.end(site))
const lost = await signedIn(join(await dump(ports, site, join(folder, 'lost')), 'journal'))

/** A deal that began since is settled. */
async function trades(agent: Agent): Promise<boolean> {
  const before = ports.time.clock.now()
  const isSettled = () =>
    agent.trading.deals().some(({ runner }) => {
      const { state, contract } = runner.deal()
      return state === 'settled' && contract.start > before
    })
  for (let i = 0; i < 48 && !isSettled(); i++) await pass(10)
  return isSettled()
}

const into = join(folder, 'restored')
const restored = await restoreInto(into)
let begun = 0
const next = await again(join(into, 'data'), async () => {
  const agent = running.agents.get(site)!
  begun = agent.bootCount
  assert.is(agent.relays.isManual(), true, 'its contacts are open until somebody has looked')
  must(await awaited(ports.time, agent.relays.setManual(false)))
  assert.ok(await trades(agent), 'the neighbour does not trade with it any more')
})
const naive = await again(join(folder, 'data'), () => pass(120))

test('what was signed after the backup is never signed again as something else', async () => {
  const { boot, keysLeftOut, journal } = made
  assert.equal([boot, keysLeftOut], [1, []])
  assert.is(begun, must(restored).boot + 1)
  assert.equal(readFileSync(join(into, 'account')), readFileSync(join(folder, 'keys/account')))
  assert.ok(lost.size > 10 && next.size > 10, `${lost.size} and ${next.size}`)
  assert.equal(twice(lost, next), [])
  const reader = must(await openJournalReader(must(await openFolder(join(into, 'data/journal')))))
  assert.is.not(toHex(reader.id), journal.id)
  const before = must(await openJournalReader(must(await openFolder(join(into, `data/journal.restored-${begun - 1}`)))))
  assert.is(toHex(before.id), journal.id)
})

test('without that, a copy put back signs the same numbers again', () => {
  assert.ok(twice(lost, naive).length > 3, `${naive.size} of which ${twice(lost, naive)}`)
})

test('no neighbour finds anything wrong with the restored site, and no wire', () => {
  const [, neighbour] = [...running.agents].find(([name]) => name !== site)!
  assert.equal(
    neighbour.health.items().filter(({ name }) => name.startsWith('peer.')),
    [],
  )
  assert.is(running.violations.length, 0)
})

test('its deals and readings are exported in exact decimals, as the journal has them', async () => {
  const csv = await runTieline(['export', '--what', 'deals', '--config', configFile])
  assert.is(csv.exit, 0, csv.err)
  const [header, ...lines] = csv.out.trimEnd().split('\r\n')
  assert.is(header, 'id,state,role,line,to,start,end,energy_kwh,price_per_kwh,delivered_kwh,paid')
  const deals = (await runTieline(['export', '--what', 'deals', '--json', '--config', configFile])).json()
  assert.is(deals.length, lines.length)
  const settled = deals.find(({ state }) => state === 'settled')
  assert.ok(lines.some(line => line.startsWith(`${settled.id},settled,`)))
  // In thousandths of a unit: what was delivered at this price, rounded down, is what was paid.
  const whole = (text: string, places: number) =>
    BigInt(text.replace('.', '') + '0'.repeat(places - (text.split('.')[1] ?? '').length))
  const due = (whole(settled.delivered_kwh, 3) * whole(settled.price_per_kwh, 6)) / 1000n
  assert.is(whole(settled.paid, 6), due)
  const readings = await runTieline(['export', '--what', 'readings', '--meter', 'grid', '--config', configFile])
  assert.match(
    readings.out,
    /^time,meter,sequence,obis,value,unit\r\n2026-\S+Z,grid,\d+,[\d.:*-]+,-?\d+(\.\d+)?,\w+\r\n/,
  )
  assert.is(
    (await runTieline(['export', '--what', 'deals', '--since', '2027-01-01', '--config', configFile])).out.trimEnd(),
    header,
  )
  for (const wrong of [
    ['--what', 'deal'],
    ['--what', 'readings', '--meter', 'gird'],
    ['--what', 'deals', '--since', 'x'],
    [],
  ])
    assert.is((await runTieline(['export', ...wrong, '--config', configFile])).exit, 2)
})

test('everything ends in order', async () => {
  await at.close()
  rmSync(folder, { recursive: true })
})

test.run()
