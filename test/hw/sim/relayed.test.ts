/**
 * A site without a route to any ledger node: all it knows of the ledger comes over the brokers, from three neighbours that
 * serve theirs. It trades like the others; and where a relay lies or all of them fall silent, its contacts open.
 */
import type { Seams } from '../../../agent/compose.ts'
import type { World } from '../../../agent/world.ts'
import { decodeAnswer, encodeAnswer } from '../../../drivers/headers/mqtt-form.ts'
import { createAssembly, framesOf, readFrame } from '../../../drivers/headers/mqtt-frame.ts'
import { healthOf, openedAfter } from '../../../hw/bench/fault-tools.ts'
import { ledgerDeals } from '../../../hw/bench/judge.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { createSimPorts } from '../../../hw/sim/sim-ports.ts'
import { BRISK } from '../../../hw/sim/site-config.ts'
import { streetOf } from '../../../hw/sim/street.ts'
import { createStreetLedger, openStreet } from '../../../hw/sim/street-run.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { done, must, ok } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('a site that reaches the ledger over its neighbours')

const SITE = 'cedar'
const LINE = 'L1'
const RELAYS = ['birch', 'spark', 'volta']

type RelayMode = 'true' | 'silent' | 'forged'

async function openRelayed(modes: Map<string, RelayMode>) {
  const street = streetOf(5)
  const ports = createSimPorts({
    seed: 5,
    sites: street.sites,
    brokers: 2,
    realSigner: true,
    pace: BRISK,
    logOf: () => () => {},
  })
  const producer = createStreetLedger(street, 5, ports)
  ports.serveLedger(producer)
  await producer.produce()
  producer.start()
  const asked: string[] = []
  const running = must(
    await openStreet(street, 5, new Map(), producer, {
      ...ports,
      primaryOf: site => (site === SITE ? 'mqtt:birch' : ports.primaryOf(site)),
      witnessesOf: site => (site === SITE ? ['mqtt:spark', 'mqtt:volta'] : ports.witnessesOf(site)),
      relayAsOf: site => (RELAYS.includes(site) ? site : undefined),
      worldOf: (site, config, devices) => {
        const world = ports.worldOf(site, config, devices)
        const openLedger = (url: string) => {
          asked.push(site.name)
          return world.openLedger(url)
        }
        return { ...world, openLedger }
      },
    }),
  )
  for (const { name } of street.sites) must(await awaited(ports.time, running.start(name, lying(name, modes))))
  assert.ok(!asked.includes(SITE), 'it has no other way')
  const until = async (met: () => boolean, withinMs: number) => {
    for (let waited = 0; !met() && waited < withinMs; waited += 100) await ports.time.advance(100)
    return met()
  }
  const settled = () => ledgerDeals(running).filter(({ deal }) => deal.line === LINE && deal.state === 'settled')
  return { ports, running, until, settled, light: () => running.agents.get(SITE)!.light }
}

/** What a site says as a relay is held back, or its blocks are forged on the way. */
function lying(site: string, modes: ReadonlyMap<string, RelayMode>): Seams {
  const isAnswer = (topic: string) => topic.startsWith(`tieline/ledger/${site}/answer/`)
  function forge(payload: Uint8Array): Uint8Array {
    const frame = readFrame(payload)!
    const block = decodeAnswer('lightBlock', createAssembly().take(frame) ?? new Uint8Array(0), site)
    if (!block.ok) return payload
    const header = { ...block.value.header, appHash: sha256(utf8('all is paid')) }
    return framesOf(frame.client, frame.id, encodeAnswer('lightBlock', ok({ ...block.value, header })))[0]!
  }
  const over = (world: World): World => ({
    ...world,
    openBus: async urls => {
      const { publish, ...rest } = must(await world.openBus(urls))
      return ok({
        ...rest,
        publish: async (topic, payload) => {
          const mode = isAnswer(topic) ? modes.get(site) : undefined
          if (mode === 'silent') return done
          return publish(topic, mode === 'forged' ? forge(payload) : payload)
        },
      })
    },
  })
  return { world: over }
}

const flows = (street: Awaited<ReturnType<typeof openRelayed>>) => () =>
  street.running.flows(LINE) && ledgerDeals(street.running).some(({ deal }) => deal.line === LINE)

test('it buys, its contacts close, and the deal settles', async () => {
  const street = await openRelayed(new Map())
  const { running, ports, until, settled } = street
  assert.ok(await until(flows(street), 120_000), 'energy flows')
  assert.ok(await until(() => settled().length > 0, 180_000), 'a deal settles')
  assert.ok((settled()[0]!.deal.outcome?.delivered ?? 0n) > 0n)
  assert.is(street.light().health().state, 'ok')
  assert.is(street.light().stats().refusals, 0)
  assert.ok(street.light().stats().proofsVerified > 0)
  assert.equal([running.violations, running.producer.audit().problems], [[], []])
  await awaited(ports.time, running.stop())
}, 60_000)

test('every relay falls silent: the contacts open, the health says why, and it trades again when they speak', async () => {
  const modes = new Map<string, RelayMode>()
  const street = await openRelayed(modes)
  const { running, ports, until, settled } = street
  assert.ok(await until(flows(street), 120_000), 'energy flows')
  const at = running.clock.mono()
  for (const relay of RELAYS) modes.set(relay, 'silent')
  assert.ok(await until(() => openedAfter(street, LINE, at) !== undefined, 20_000), 'the contacts open')
  assert.match(healthOf(running.agents.get(SITE), 'light')?.code ?? 'nothing', /light\.stale/)
  await ports.time.advance(60_000)
  assert.ok(!running.flows(LINE))
  modes.clear()
  const before = settled().length
  assert.ok(await until(() => settled().length > before + 1, 300_000), 'it trades again')
  assert.equal([running.violations, running.producer.audit().problems], [[], []])
  await awaited(ports.time, running.stop())
}, 60_000)

test('one relay forges headers: it is refused by name, the contacts open, and the others are enough', async () => {
  const modes = new Map<string, RelayMode>()
  const street = await openRelayed(modes)
  const { running, ports, until, settled } = street
  const seen: string[] = []
  street.light().onHealth(({ state, fault }) => seen.push(`${state} ${fault?.code} ${String(fault?.['source'])}`))
  assert.ok(await until(flows(street), 120_000), 'energy flows')
  const at = running.clock.mono()
  modes.set('birch', 'forged')
  assert.ok(await until(() => openedAfter(street, LINE, at) !== undefined, 10_000), 'the contacts open')
  assert.ok(seen.includes('refused light.header-hash mqtt:birch'), seen.join(', '))
  const before = settled().length
  assert.ok(await until(() => settled().length > before + 1, 300_000), 'it trades by the other two')
  assert.is(street.light().health().state, 'ok')
  assert.equal([running.violations, running.producer.audit().problems], [[], []])
  await awaited(ports.time, running.stop())
}, 60_000)

test('every relay forges headers: the contacts open and stay open', async () => {
  const modes = new Map<string, RelayMode>()
  const street = await openRelayed(modes)
  const { running, ports, until } = street
  assert.ok(await until(flows(street), 120_000), 'energy flows')
  const at = running.clock.mono()
  for (const relay of RELAYS) modes.set(relay, 'forged')
  assert.ok(await until(() => openedAfter(street, LINE, at) !== undefined, 10_000), 'the contacts open')
  const opened = running.clock.mono()
  await ports.time.advance(120_000)
  assert.ok(
    !running.moves.some(({ contact, position, mono }) => contact.of === LINE && position === 'closed' && mono > opened),
  )
  assert.match(healthOf(running.agents.get(SITE), 'light')?.code ?? 'nothing', /light\.(refused|header-hash)/)
  await awaited(ports.time, running.stop())
}, 60_000)

test.run()
