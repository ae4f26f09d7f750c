import { createHeads, keepPeerHead, PEER_HEAD, type SignedHead } from '../../../agent/metering/heads.ts'
import { createPost, type Post } from '../../../agent/trading/post.ts'
import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { type Journal, openJournal } from '../../../drivers/store/journal.ts'
import { checkAgainstHead } from '../../../drivers/store/journal-against.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { createSimBroker, createSimBus } from '../../../hw/sim/bus.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { addressOf } from '../../../protocol/crypto/hash.ts'
import { sealingKey } from '../../../protocol/crypto/seal.ts'
import { ueidOf } from '../../../protocol/identity/key.ts'
import { encodeHead, HEAD_PURPOSE, type JournalHead } from '../../../protocol/reading/head.ts'
import { type Fault, must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('heads of journals')

const HOUR = 3_600_000
const SEGMENT = 64 * 1024
const FILL = { ada: 1, bob: 2 }
type Name = keyof typeof FILL
const other = (name: Name): Name => (name === 'ada' ? 'bob' : 'ada')
const signers = { ada: createSigner(new Uint8Array(32).fill(1)), bob: createSigner(new Uint8Array(32).fill(2)) }
const verifier = createVerifier()
const seedOf = (name: Name) => new Uint8Array(32).fill(100 + FILL[name])

interface Running {
  readonly journal: Journal
  readonly post: Post
  readonly health: Map<string, Fault>
  readonly evidence: { readonly fault: Fault; readonly bytes: readonly Uint8Array[] }[]
  readonly heads: SignedHead[]
  readonly logs: string[]
  note(count: number): Promise<void>
  stop(): Promise<void>
}

function createStreet() {
  const time = createSimTime(1_800_000_000_000, drainPromises)
  const random = seededRandom(5)
  const brokers = [createSimBroker(time.timers, random)]
  const entropy = { bytes: (n: number) => Uint8Array.from({ length: n }, () => Math.floor(random() * 256)) }
  const disks: Record<Name, SimDisk> = { ada: createSimDisk({ random }), bob: createSimDisk({ random }) }
  const boots = { ada: 0, bob: 0 }

  async function start(name: Name, exchanging = true): Promise<Running> {
    const journal = must(
      await openJournal({
        disk: disks[name].mount(),
        clock: time.clock,
        timers: time.timers,
        entropy,
        owner: ueidOf(signers[name].publicKey),
        keeping: keepPeerHead,
        segmentBytes: SEGMENT,
      }),
    )
    const peer = other(name)
    const { publicKey } = signers[peer]
    const post = createPost({
      bus: createSimBus(brokers),
      clock: time.clock,
      timers: time.timers,
      entropy,
      signer: signers[name],
      sealingKey: seedOf(name),
      peers: [{ name: peer, publicKey, address: addressOf(publicKey), sealingKey: sealingKey(seedOf(peer)).publicKey }],
      epoch: ++boots[name],
      verifier,
      log: () => {},
    })
    const health = new Map<string, Fault>()
    const evidence: Running['evidence'] = []
    const given: SignedHead[] = []
    const logs: string[] = []
    const heads = createHeads({
      journal,
      signer: signers[name],
      peers: [{ name: peer, publicKey }],
      post,
      clock: time.clock,
      timers: time.timers,
      verifier,
      log: (_, __, text, fault) => void logs.push(`${text} ${fault?.code ?? ''}`.trim()),
      health: (what, fault) => void (fault === undefined ? health.delete(what) : health.set(what, fault)),
      evidence: (fault, bytes) => void evidence.push({ fault, bytes }),
    })
    heads.onHead(signed => void given.push(signed))
    if (exchanging) heads.start()
    await time.advance(2000)
    return {
      journal,
      post,
      health,
      evidence,
      heads: given,
      logs,
      note: async count => {
        for (let i = 0; i < count; i++)
          must(await journal.append('note', utf8(`${name} ${boots[name]} ${i}`), { urgent: true }))
      },
      stop: async () => {
        heads.stop()
        post.stop()
        await journal.close()
      },
    }
  }

  /** The disk as it is now, in another one. */
  async function copy(name: Name): Promise<SimDisk> {
    const sim = createSimDisk({ random })
    const to = sim.mount()
    for (let n = 1; ; n++) {
      const file = `journal-${String(n).padStart(8, '0')}.seg`
      const bytes = disks[name].platter(file)
      if (bytes === undefined) break
      must(await to.replace(file, bytes))
    }
    return sim
  }
  return { time, disks, boots, start, copy }
}

const kept = ({ journal }: Running) => journal.kept().filter(({ kind }) => kind === PEER_HEAD).length

test('heads go to the neighbour at the start, every hour where something was added, and when a segment is finished', async () => {
  const { time, start } = createStreet()
  const [ada, bob] = [await start('ada'), await start('bob')]
  assert.is(ada.heads.length, 1)
  await time.advance(HOUR)
  // Bob's head came meanwhile and is in ada's journal.
  assert.is(ada.heads.length, 2)
  const before = ada.heads.length
  await ada.note(20)
  await time.advance(2000)
  assert.is(ada.heads.length, before + 1)
  const { head } = ada.heads.at(-1)!
  assert.ok(head.records > 16)
  assert.is(kept(bob), 2)
  assert.equal([...ada.health, ...bob.health], [])
  await ada.stop()
  await bob.stop()
})

/** Ada's journal as it was an hour ago comes back. What bob then knows. */
async function truncated(exchanging: boolean): Promise<Running> {
  const { time, start, disks, copy } = createStreet()
  let [ada, bob] = [await start('ada', exchanging), await start('bob', exchanging)]
  await ada.note(3)
  const then = await copy('ada')
  await ada.note(5)
  await time.advance(HOUR)
  await ada.stop()
  // The neighbour restarts too: what it kept is in its journal.
  await bob.stop()
  bob = await start('bob', exchanging)
  disks.ada = then
  ada = await start('ada', exchanging)
  // Ada herself sees nothing: her journal is whole and says nothing of what was cut off.
  assert.equal(ada.journal.cuts, [])
  assert.is(ada.journal.health(), undefined)
  await time.advance(2 * HOUR)
  await ada.stop()
  await bob.stop()
  return bob
}

test('a journal that comes back shorter is found by the neighbour, who keeps both signed heads', async () => {
  const bob = await truncated(true)
  const fault = bob.health.get('peer.ada.journal')!
  assert.is(fault.code, 'heads.back')
  assert.is(bob.evidence[0]!.bytes.length, 2)
  assert.ok(Number(fault['kept']) > Number(fault['received']))
})

test('without the exchange nobody finds it', async () => {
  const bob = await truncated(false)
  assert.equal([...bob.health], [])
  assert.equal(bob.evidence, [])
})

/** Ada's journal as it was an hour ago comes back, her count of boots with it, and she adds to it. What she then knows. */
async function restoredFromCopy(added: number, gives = true): Promise<Running> {
  const { time, start, disks, boots, copy } = createStreet()
  let [ada, bob] = [await start('ada'), await start('bob')]
  await ada.note(3)
  const then = await copy('ada')
  await ada.stop()
  ada = await start('ada')
  await ada.note(5)
  await time.advance(HOUR)
  await ada.stop()
  if (!gives) await bob.stop()
  disks.ada = then
  boots.ada = 0
  ada = await start('ada')
  await ada.note(added)
  await time.advance(2 * HOUR)
  // She is heard by nobody: her messages are of a boot that is over.
  assert.equal([...bob.health], [])
  await ada.stop()
  if (gives) await bob.stop()
  return ada
}

test('an agent on an older copy of its journal learns it from the head that a neighbour gives back', async () => {
  for (const [added, code] of [
    [0, 'short'],
    [40, 'forked'],
  ] as const) {
    const ada = await restoredFromCopy(added)
    const fault = ada.health.get('journal.forgotten')!
    assert.is(fault.code, 'heads.forgotten', code)
    assert.is(Number(fault['kept']) > Number(fault['journal']), code === 'short')
    assert.ok(ada.evidence.length > 0)
  }
})

test('without the neighbour it goes on as if nothing were', async () => {
  assert.equal([...(await restoredFromCopy(40, false)).health], [])
})

test('the head that the neighbour kept says of a journal whether it was cut off, forked or is another', async () => {
  const { time, start, disks, copy } = createStreet()
  const [ada, bob] = [await start('ada'), await start('bob')]
  await ada.note(3)
  const then = await copy('ada')
  await ada.note(5)
  await time.advance(HOUR)
  const { head } = ada.heads.at(-1)!
  await ada.stop()
  const check = async (disk: SimDisk) => must(await checkAgainstHead(must(await openJournalReader(disk.mount())), head))
  const whole = await check(disks.ada)
  assert.is(whole.kind, 'ok')
  const short = await check(then)
  assert.is(short.kind === 'truncated' ? short.missing : short.kind, 5)
  disks.ada = then
  const anew = await start('ada', false)
  await anew.note(20)
  await anew.stop()
  const forked = await check(then)
  assert.is(forked.kind === 'forked' ? forked.frame : forked.kind, head.sequence)
  await bob.stop()
  assert.is((await check(disks.bob)).kind, 'other-journal')
})

// --- Single heads, as a neighbour might send them

const headOf = (change: Partial<JournalHead>): JournalHead => ({
  device: ueidOf(signers.ada.publicKey),
  journal: new Uint8Array(16).fill(1),
  sequence: 10,
  hash: new Uint8Array(32).fill(10),
  records: 30,
  time: instant(1_800_000_000_000),
  ...change,
})

/** What bob makes of heads that ada's account sends by hand, in turn; `by` signs. */
async function hears(heads: readonly Partial<JournalHead>[], by: Name = 'ada'): Promise<Running> {
  const { time, start } = createStreet()
  const [ada, bob] = [await start('ada', false), await start('bob')]
  for (const change of heads) {
    const { envelope } = must(await signEnvelope(signers[by], encodeHead(headOf(change)), HEAD_PURPOSE))
    void ada.post.send('bob', { kind: 'head', head: envelope }, { reliable: true })
    await time.advance(2000)
  }
  await ada.stop()
  await bob.stop()
  return bob
}

test('a head that goes on, or is the same again, is fine, and the newest two are kept', async () => {
  const bob = await hears([{}, {}, { sequence: 11 }, { sequence: 19 }])
  assert.equal([...bob.health], [])
  assert.is(kept(bob), 2)
})

test('two heads of one frame that differ, and one that goes back, are evidence', async () => {
  const forked = await hears([{}, { hash: new Uint8Array(32) }])
  assert.is(forked.health.get('peer.ada.journal')?.code, 'heads.forked')
  const late = await hears([{}, { sequence: 20 }, { hash: new Uint8Array(32) }])
  assert.is(late.evidence[0]?.bytes.length, 2)
  const back = await hears([{}, { sequence: 9 }, { sequence: 12 }])
  assert.equal(
    back.evidence.map(({ fault }) => fault.code),
    ['heads.back'],
  )
})

test('a neighbour that sends heads without end fills no journal, and is held to the last of them', async () => {
  const flood = Array.from({ length: 200 }, (_, i) => ({ sequence: 100 + i }))
  const bob = await hears([...flood, { sequence: 250 }])
  assert.is(bob.health.get('peer.ada.journal')?.code, 'heads.back')
  assert.is(bob.health.get('peer.ada.journal')?.['kept'], 299)
  assert.ok(bob.journal.stats().records < 20, `${bob.journal.stats().records}`)
})

test('a neighbour that begins another journal for a while is still held to the first', async () => {
  const other = { journal: new Uint8Array(16).fill(2) }
  const bob = await hears([{ sequence: 50 }, { ...other, sequence: 2 }, { ...other, sequence: 3 }, { sequence: 40 }])
  assert.is(bob.health.get('peer.ada.journal')?.code, 'heads.back')
})

test('another journal is no step back, and is named in the log', async () => {
  const bob = await hears([{ sequence: 50 }, { journal: new Uint8Array(16).fill(2), sequence: 2 }])
  assert.equal([...bob.health], [])
  assert.equal(bob.logs, ['ada has begun another journal'])
})

test('a head by another key, or of another gateway, is refused', async () => {
  const forged = await hears([{}], 'bob')
  assert.ok(forged.logs[0]!.startsWith('a head of ada is refused'), forged.logs[0])
  const foreign = await hears([{ device: ueidOf(signers.bob.publicKey) }])
  assert.is(foreign.logs[0], 'a head of ada is of another gateway heads.other-device')
  for (const bob of [forged, foreign]) assert.is(kept(bob), 0)
})

test.run()
