/** Private keys of a whole street: nothing that an agent shows, logs or keeps on its disks holds them. */
import { inspect } from 'node:util'
import { secretFromSeed } from '../../agent/keys.ts'
import { CURVE_STEP_MS, createLogTail, joinViews, logInto, viewAgent } from '../../agent/web/agent-view.ts'
import { createCurveRing } from '../../agent/web/curve-ring.ts'
import type { Disk } from '../../drivers/ports.ts'
import { awaited } from '../../hw/sim/run-seed.ts'
import { createSimPorts } from '../../hw/sim/sim-ports.ts'
import { BRISK } from '../../hw/sim/site-config.ts'
import { benchSeed, streetOf } from '../../hw/sim/street.ts'
import { createStreetLedger, openStreet } from '../../hw/sim/street-run.ts'
import { toHex } from '../../protocol/bytes.ts'
import { faultLine, must, ok } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'

const test = suite('private keys')

const SEED = 17
const MINUTES = 1

/** Every way in which 32 bytes are usually printed; a quarter of them, in its place, is enough to be found. */
function* printed(secret: Uint8Array): Iterable<string> {
  const bytes = Buffer.from(secret)
  yield bytes.toString('base64').slice(4, 36)
  yield bytes.toString('base64url').slice(4, 36)
  for (let at = 0; at < secret.length; at += 8) {
    const some = secret.subarray(at, at + 8)
    yield toHex(some)
    yield toHex(some).toUpperCase()
    yield some.join(',')
  }
}
const holds = (plain: string, secret: Uint8Array): boolean => [...printed(secret)].some(form => plain.includes(form))
const withoutBlanks = (text: string): string => text.replace(/\s+/g, '')

test('the search finds a key however it is printed', () => {
  const secret = secretFromSeed(benchSeed(SEED, 'x'), 'account')
  const bytes = Buffer.from(secret)
  for (const text of [
    inspect(secret, { maxArrayLength: null }),
    inspect(bytes, { maxArrayLength: null }),
    JSON.stringify(bytes),
    JSON.stringify(Object.values(secret)),
    toHex(secret),
    bytes.toString('base64'),
    bytes.toString('base64url'),
  ]) {
    assert.ok(holds(withoutBlanks(text), secret), text)
  }
  assert.not.ok(holds(withoutBlanks(inspect(secretFromSeed(benchSeed(SEED, 'y'), 'account'))), secret))
})

test('none stands in the page, the log, the health, a dump of the agent, or on its disks', async () => {
  const street = streetOf(2)
  const tail = createLogTail(100_000)
  let clock = () => 0 as never
  const ports = createSimPorts({
    seed: SEED,
    sites: street.sites,
    brokers: 1,
    realSigner: true,
    pace: BRISK,
    logOf: site =>
      logInto(
        tail,
        site,
        () => clock(),
        () => {},
      ),
  })
  clock = () => ports.clock.now() as never
  const producer = createStreetLedger(street, SEED, ports)
  ports.serveLedger(producer)
  await producer.produce()
  producer.start()
  const disks = new Map<string, Disk>()
  const running = must(
    await openStreet(street, SEED, new Map(), producer, {
      ...ports,
      worldOf: (site, config, devices) => {
        const world = ports.worldOf(site, config, devices)
        const openDisk: typeof world.openDisk = async folder => {
          const opened = await world.openDisk(folder)
          if (opened.ok) disks.set(folder, opened.value)
          return opened
        }
        return { ...world, openDisk }
      },
    }),
  )
  for (const { name } of street.sites) must(await awaited(ports.time, running.start(name)))
  for (let s = 0; s < MINUTES * 60; s++) await ports.time.advance(1000)
  const ring = createCurveRing(10, CURVE_STEP_MS)
  const agents = [...running.agents.values()]
  const page = joinViews(
    agents.map(agent => viewAgent(agent, ports.clock, ring)),
    { title: 'street', time: ports.clock.now(), speed: 1, violations: [], log: tail.lines() },
  )
  const shown: Record<string, string> = {
    page: JSON.stringify(page),
    log: tail
      .lines()
      .map(line => line.text)
      .join('\n'),
    health: agents
      .flatMap(agent => agent.health.items().map(({ name, fault }) => `${name} ${faultLine(fault)}`))
      .join(),
    dump: agents
      .map(({ config: _, ...agent }) =>
        inspect(agent, { depth: 12, showHidden: true, getters: true, maxArrayLength: null }),
      )
      .join('\n'),
  }
  for (const [folder, disk] of disks) {
    for (const name of must(await awaited(ports.time, disk.list()))) {
      // A segment's end is zeros that nothing was written to yet.
      shown[`${folder}/${name}`] = toHex(must(await awaited(ports.time, disk.read(name)))).replace(/0+$/, '')
    }
  }
  assert.ok(shown['page']!.length > 1000)
  assert.ok(Object.keys(shown).length > 8, Object.keys(shown).join(' '))
  const plain = Object.entries(shown).map(([where, text]) => [where, withoutBlanks(text)] as const)
  for (const { name } of street.sites) {
    const seed = benchSeed(SEED, name)
    const secrets = {
      seed,
      ...Object.fromEntries((['account', 'metering', 'sealing'] as const).map(use => [use, secretFromSeed(seed, use)])),
    }
    for (const [use, secret] of Object.entries(secrets)) {
      for (const [where, text] of plain) assert.not.ok(holds(text, secret), `${name} ${use} in ${where}`)
    }
  }
  await awaited(
    ports.time,
    running.stop().then(() => ok(undefined)),
  )
}, 60_000)

test.run()
