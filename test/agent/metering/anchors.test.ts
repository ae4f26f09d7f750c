import { proveAnchor, startAnchors } from '../../../agent/metering/anchors.ts'
import type { SignedHead } from '../../../agent/metering/heads.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { checkAgainstHead } from '../../../drivers/store/journal-against.ts'
import type { Note } from '../../../drivers/store/journal-own.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { ueidOf } from '../../../protocol/identity/key.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { type Fault, fail, must, ok } from '../../../protocol/result.ts'
import { mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, Bench, FEE, nameOf, seller } from '../../protocol/ledger/parties.ts'

const test = suite('anchors of journals')

const HOUR = 3_600_000
const JOURNAL = new Uint8Array(16).fill(1)

/** An agent's anchors before a ledger that is the product's own, whose answers are taken as proven. */
function createYard() {
  const bench = new Bench()
  const time = createSimTime(BEGIN, drainPromises)
  const health = new Map<string, Fault>()
  const noteListeners: ((note: Note) => void)[] = []
  const headListeners: ((signed: SignedHead) => void)[] = []
  const sent: TxContent[] = []
  const frames = new Map<bigint, Uint8Array>()
  const yard = { bench, health, sent, frames, light: true, mempool: true }
  const light = {
    prove: async (key: Uint8Array) => {
      if (!yard.light) return fail({ code: 'light.no-head' })
      const { value } = bench.app.query(key, bench.app.height)!
      return ok({ value, height: bench.app.height, headerTime: time.clock.now(), provenMono: mono(0) } as never)
    },
  }
  startAnchors({
    account: {
      address: seller.address,
      submit: async content => {
        if (!yard.mempool) return fail({ code: 'account.no-node' })
        sent.push(content)
        const outcome = bench.send(seller, content)
        return nameOf(outcome) === 'taken' ? ok(new Uint8Array(32)) : fail({ code: 'account.tx-refused' })
      },
    },
    light,
    journal: {
      id: JOURNAL,
      onNote: listener => void noteListeners.push(listener),
      visit: async visitor => {
        for (const [frame, frameHash] of yard.frames) {
          visitor({ kind: 'x', bytes: frameHash }, { frame, frameHash, carried: false, index: 0 } as never)
        }
        return ok(undefined)
      },
    },
    heads: { onHead: listener => void headListeners.push(listener) },
    clock: time.clock,
    log: () => {},
    health: (what, fault) => void (fault === undefined ? health.delete(what) : health.set(what, fault)),
  })
  const anchored = async () => must(await proveAnchor(light, seller.address, JOURNAL))?.frame
  const headAt = async (frame: number, hash = frame) => {
    const head = {
      device: ueidOf(seller.publicKey),
      journal: JOURNAL,
      sequence: frame,
      hash: fill(hash),
      records: frame,
    }
    for (const hear of headListeners) hear({ head: { ...head, time: time.clock.now() }, envelope: new Uint8Array() })
    await time.advance(10)
  }
  const seal = () => {
    for (const hear of noteListeners) hear({ kind: 'sealed', segment: 1, sequence: 1n, hash: fill(1), records: 1 })
  }
  return Object.assign(yard, { time, anchored, headAt, seal })
}
const fill = (n: number) => new Uint8Array(32).fill(n)

test('a head is anchored at once where none is, then once a day, and when a segment is finished', async () => {
  const yard = createYard()
  const before = yard.bench.account(seller).balance
  await yard.headAt(5)
  assert.is(await yard.anchored(), 5n)
  for (let hour = 1; hour < 24; hour++) {
    await yard.time.advance(HOUR - 10)
    await yard.headAt(5 + hour)
  }
  assert.is(yard.sent.length, 1)
  await yard.time.advance(HOUR + 2000)
  await yard.headAt(40)
  assert.is(await yard.anchored(), 40n)
  yard.seal()
  await yard.headAt(41)
  assert.is(await yard.anchored(), 41n)
  await yard.headAt(42)
  assert.is(yard.sent.length, 3)
  assert.is(before - yard.bench.account(seller).balance, 3n * FEE)
  assert.equal([...yard.health], [])
})

test('a ledger that proves nothing, or takes nothing, is said and tried again with the next head', async () => {
  const yard = createYard()
  yard.light = false
  await yard.headAt(5)
  assert.is(yard.health.get('journal.anchor')?.code, 'light.no-head')
  yard.light = true
  yard.mempool = false
  yard.seal()
  await yard.headAt(6)
  assert.is(yard.health.get('journal.anchor')?.code, 'account.no-node')
  yard.mempool = true
  await yard.headAt(7)
  assert.equal([...yard.health], [])
  assert.is(await yard.anchored(), 7n)
})

test('a journal that is shorter than its anchor, or has another frame there, is found, and no anchor hides it', async () => {
  const yard = createYard()
  await yard.headAt(20)
  await yard.headAt(12)
  assert.is(yard.health.get('journal.cut-off')?.code, 'anchors.ahead')
  await yard.headAt(20, 99)
  assert.is(yard.health.get('journal.cut-off')?.code, 'anchors.forked')
  assert.is(yard.sent.length, 1)
  await yard.headAt(20)
  assert.is(yard.health.get('journal.cut-off'), undefined)
})

test('an older copy that has grown beyond its anchor is found by the frame that stands there now', async () => {
  const yard = createYard()
  const copy = createYard()
  for (const each of [yard, copy]) await each.headAt(20)
  // The agents start again: one on its journal, one on a copy that wrote a frame 20 of its own.
  yard.frames.set(20n, fill(20))
  copy.frames.set(20n, fill(99))
  for (const each of [yard, copy]) {
    each.seal()
    await each.headAt(25)
  }
  assert.is(yard.health.get('journal.cut-off'), undefined)
  assert.is(await yard.anchored(), 25n)
  assert.is(copy.health.get('journal.cut-off')?.code, 'anchors.forked')
  assert.is(await copy.anchored(), 20n)
})

test('a journal is held against its anchor as against a head', async () => {
  const yard = createYard()
  await yard.headAt(20)
  const frame = Number(await yard.anchored())
  const reader = (sequence: bigint, found: Uint8Array | undefined) => ({
    id: JOURNAL,
    owner: ueidOf(seller.publicKey),
    head: { sequence, hash: fill(0), records: 1 },
    frameHash: async () => ok(found),
  })
  const known = { journal: JOURNAL, sequence: frame, hash: fill(20) }
  const check = async (sequence: bigint, found: Uint8Array | undefined) =>
    must(await checkAgainstHead(reader(sequence, found), known))
  assert.equal(await check(23n, fill(20)), { kind: 'ok', ahead: 3 })
  assert.equal(await check(18n, undefined), { kind: 'truncated', missing: 2 })
  assert.is((await check(20n, fill(1))).kind, 'forked')
  assert.equal(await check(900n, undefined), { kind: 'dropped', frame: 20 })
})

test.run()
