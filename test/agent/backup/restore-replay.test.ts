/**
 * A site makes a deal after its backup, is restored to before it, and everything that its neighbour said since is said to it
 * again. Judged by the contacts of the wires, by the ledger's records and by the audit that keeps no books itself.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Agent } from '../../../agent/compose.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { createSimPorts } from '../../../hw/sim/sim-ports.ts'
import { BRISK } from '../../../hw/sim/site-config.ts'
import { streetOf } from '../../../hw/sim/street.ts'
import { createStreetLedger, openStreet } from '../../../hw/sim/street-run.ts'
import { equalBytes, fromUtf8, toHex } from '../../../protocol/bytes.ts'
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import { decodeDealRecord } from '../../../protocol/ledger/deal-record.ts'
import { must } from '../../../protocol/result.ts'
import { topicOf } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { backUpSite, load } from './street-backup.ts'

const SEED = 5
const folder = mkdtempSync(join(tmpdir(), 'tieline-replay-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const test = suite('replay after a restore')
let trials = 0

async function pass(time: { advance(ms: number): Promise<void> }, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 5000) await time.advance(Math.min(left, 5000))
}

/** The site of this role is restored once its deal is so far. */
async function replayed(role: 'seller' | 'buyer', state: 'armed' | 'started' | 'settled') {
  const { sites: all, lines } = streetOf(5)
  const line = lines[0]!
  const sites = all.filter(({ name }) => name === line.seller || name === line.buyer)
  const [site, neighbour] = role === 'seller' ? [line.seller, line.buyer] : [line.buyer, line.seller]
  const street = { sites, lines: [line] }
  const ports = createSimPorts({
    ...{ seed: SEED, sites, brokers: 1, realSigner: false, pace: BRISK },
    logOf: () => () => {},
  })
  const { time } = ports
  const producer = createStreetLedger(street, SEED, ports)
  ports.serveLedger(producer)
  await producer.produce()
  producer.start()
  const running = must(await openStreet(street, SEED, new Map(), producer, ports))
  const start = async (name: string): Promise<Agent> => must(await awaited(time, running.start(name)))
  const end = (name: string) => awaited(time, running.end(name))
  await start(neighbour)
  const before = await start(site)
  await pass(time, 5000)
  await end(site)
  const own = join(folder, String(++trials))
  const backup = await backUpSite(ports, site, own)

  // Everything that is said to the site from here on.
  const said: Uint8Array[] = []
  const [broker] = ports.simBrokers as [(typeof ports.simBrokers)[number]]
  const topic = topicOf(before.account.address)
  const publish = broker.publish
  broker.publish = (to, payload) => {
    if (to === topic) said.push(Uint8Array.from(payload))
    return publish(to, payload)
  }
  const living = await start(site)
  const backedUp = living.trading.deals().map(({ runner }) => toHex(runner.deal().hash))
  /** Made since the backup. */
  const deals = () =>
    living.trading
      .deals()
      .map(({ runner }) => runner.deal())
      .filter(({ hash }) => !backedUp.includes(toHex(hash)))
  for (let i = 0; i < 600 && !deals().some(deal => deal.state === state); i++) await time.advance(1000)
  const known = deals().find(deal => deal.state === state)!
  assert.is(known?.state, state, 'no deal came so far')
  broker.publish = publish
  await end(neighbour)
  await end(site)
  await pass(time, 1000)
  must(await backup.restoreInto(join(own, 'restored')))
  await load(ports, site, join(own, 'restored/data'))
  const again = await start(site)
  assert.is(again.relays.isManual(), true)
  must(await awaited(time, again.relays.setManual(false)))
  const moved = running.moves.length
  const ledger = () => {
    const { height } = producer.status()
    const found = new Map<string, ReturnType<typeof decodeDealRecord>>()
    for (const [key, value] of producer.entries(height) ?? [])
      if (fromUtf8(key)?.startsWith('deal/')) found.set(fromUtf8(key)!, decodeDealRecord(value))
    return found
  }
  const dealsBefore = [...ledger().keys()]
  const received = again.post.stats()
  // Once it has read its meters: the newest at once, while the window of the deal may still be to come, and then all of it.
  await pass(time, 3000)
  for (const [payloads, apart] of [
    [said.slice(-60), 20],
    [said, 50],
  ] as const)
    for (const payload of payloads) {
      publish(topic, payload)
      await time.advance(apart)
    }
  await pass(time, 20_000)
  const heard = again.post.stats()
  // Its own circuits are its own to switch.
  const closed = running.moves
    .slice(moved)
    .filter(({ contact, position }) => contact.kind !== 'own' && position === 'closed').length
  const dealsAfter = [...ledger().keys()]

  // The neighbour comes back, while all of it is said once more: they trade.
  await start(neighbour)
  const begun = time.clock.now()
  const isSettled = () =>
    [...ledger().values()].some(deal => deal.ok && deal.value.state === 'settled' && deal.value.start > begun)
  for (let i = 0; i < 600 && !isSettled(); i++) {
    const payload = said[i]
    if (payload !== undefined) publish(topic, payload)
    await time.advance(1000)
  }
  const at = producer.status().height
  const result = {
    said: said.length,
    fresh: heard.received - received.received,
    closed,
    dealsBefore,
    dealsAfter,
    tradesAgain: isSettled(),
    record: ledger().get(`deal/${toHex(known.hash)}`),
    problems: auditLedger(producer.entries(at)!).problems,
    violations: running.violations,
    // What it signed again is what it had signed, to the byte, or has another number.
    others: again.trading
      .deals()
      .map(({ runner }) => runner.deal())
      .filter(
        ({ contract, hash }) => toHex(contract.nonce) === toHex(known.contract.nonce) && !equalBytes(hash, known.hash),
      ),
    contract: known.contract,
  }
  await awaited(time, running.stop())
  return result
}

for (const [role, state] of [
  ['seller', 'armed'],
  ['seller', 'settled'],
  ['buyer', 'started'],
] as const)
  test(`the ${role} of a deal that was ${state} is restored to before it: what was said then closes no contact, makes no deal and settles none twice`, async () => {
    const { said, fresh, contract, record, ...found } = await replayed(role, state)
    assert.ok(said > 10 && fresh > 10, `${said} said, ${fresh} heard`)
    assert.is(found.closed, 0)
    assert.equal(found.dealsAfter, found.dealsBefore)
    assert.equal([found.problems, found.violations], [[], []])
    assert.equal(found.others, [], 'another contract of the same number')
    assert.equal(record?.ok && [record.value.energy, record.value.price], [contract.energy, contract.price])
    assert.ok(found.tradesAgain, 'they do not trade any more')
  }, 300_000)

test.run()
