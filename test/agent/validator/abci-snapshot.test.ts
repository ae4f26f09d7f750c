/** Snapshots from one node to another, over ABCI, with chunks and offers by liars. */
import {
  cutState,
  isSoundOffer,
  joinState,
  MAX_CHUNK_BYTES,
  MAX_CHUNKS,
  snapshotOf,
} from '../../../agent/validator/snapshot-form.ts'
import { openSnapshots } from '../../../agent/validator/snapshot-store.ts'
import { equalBytes, fromUtf8, toHex, utf8 } from '../../../protocol/bytes.ts'
import { encode } from '../../../protocol/cbor.ts'
import { bytesField, varintField } from '../../../protocol/chain/proto.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { micros } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, buyer, genesis, seller, signTx } from '../../protocol/ledger/parties.ts'
import { closing, freshDisks, mounted, startAbci } from './abci-bench.ts'
import {
  type AbciClient,
  applyChunk,
  COMMIT,
  fieldsIn,
  finalize,
  INFO,
  initChain,
  LIST_SNAPSHOTS,
  loadChunk,
  offer,
  testBlock,
} from './abci-client.ts'

const test = closing(suite('ABCI snapshots'))

const OFFER_FIELDS = { 1: 'varint', 2: 'varint', 3: 'varint', 4: 'bytes', 5: 'bytes' } as const
const [ACCEPT, REJECT, REJECT_FORMAT] = [1n, 3n, 4n]
const [ABORT, RETRY, REJECT_SNAPSHOT] = [2n, 3n, 5n]

const pay = (sequence: bigint) =>
  signTx(seller, sequence, { kind: 'transfer', body: { to: buyer.address, amount: micros(1n) } })

async function makeBlocks(client: AbciClient, from: bigint, to: bigint): Promise<Uint8Array> {
  let appHash = new Uint8Array(0) as Uint8Array
  for (let height = from; height <= to; height++) {
    const [finalized, committed] = await client.call(finalize(testBlock(height, BEGIN, [pay(height - 1n)])), COMMIT)
    assert.is(committed!.number, 12)
    appHash = fieldsIn(finalized!, { 5: 'bytes' })[5]
  }
  return appHash
}

const encodeOffer = (height: bigint, chunks: readonly Uint8Array[], change: Record<number, unknown> = {}) => {
  const made = snapshotOf(height, chunks.map(sha256))
  return Buffer.concat([
    varintField(1, height),
    varintField(2, (change[2] as number) ?? 1),
    varintField(3, (change[3] as number) ?? made.chunks),
    bytesField(4, (change[4] as Uint8Array) ?? made.hash),
    bytesField(5, (change[5] as Uint8Array) ?? made.metadata),
  ])
}

/** A node with a chain of ten blocks, and the snapshot that it offers of the last. */
async function giver() {
  const disks = freshDisks()
  const bench = await startAbci(mounted(disks), { snapshotInterval: 10 })
  const client = await bench.dial()
  await client.call(initChain(genesis))
  const appHash = await makeBlocks(client, 1n, 10n)
  await bench.settled()
  const [listed] = await client.call(LIST_SNAPSHOTS)
  const [snapshot] = fieldsIn(listed!, { 1: 'messages' })[1] as [Uint8Array]
  const { 1: height, 3: count } = fieldsIn({ number: 0, body: snapshot }, OFFER_FIELDS)
  const chunks: Uint8Array[] = []
  for (let i = 0; i < Number(count); i++) {
    const [loaded] = await client.call(loadChunk(height, 1, i))
    chunks.push(fieldsIn(loaded!, { 1: 'bytes' })[1])
  }
  return { disks, bench, client, appHash, snapshot, height, chunks }
}

const resultOf = (reply: { number: number; body: Uint8Array }) => fieldsIn(reply, { 1: 'varint' })[1]

test('a fresh node restores what another offers, goes on from it and keeps it on its disk', async () => {
  const from = await giver()
  assert.is(from.height, 10n)
  const disks = freshDisks()
  const bench = await startAbci(mounted(disks))
  const client = await bench.dial()
  const [offered] = await client.call(offer(from.snapshot, from.appHash))
  assert.is(resultOf(offered!), ACCEPT)
  // In any order.
  for (const i of [...from.chunks.keys()].reverse()) {
    const [applied] = await client.call(applyChunk(i, from.chunks[i]!))
    assert.is(resultOf(applied!), ACCEPT)
  }
  const [info] = await client.call(INFO)
  assert.equal(fieldsIn(info!, { 4: 'varint', 5: 'bytes' }), { 4: 10n, 5: from.appHash })
  const both = [await makeBlocks(client, 11n, 12n), await makeBlocks(from.client, 11n, 12n)]
  assert.is(toHex(both[0]!), toHex(both[1]!))
  await bench.close()

  const again = await startAbci(mounted(disks))
  const [kept] = await (await again.dial()).call(INFO)
  assert.equal(fieldsIn(kept!, { 4: 'varint', 5: 'bytes' }), { 4: 12n, 5: both[0]! })
  await again.close()
  await from.bench.close()
})

test('a bad chunk is asked for again and its sender rejected; the good one after it counts', async () => {
  const from = await giver()
  const bench = await startAbci(mounted(freshDisks()))
  const client = await bench.dial()
  await client.call(offer(from.snapshot, from.appHash))
  const good = from.chunks[0]!
  const flipped = good.slice()
  flipped[good.length >> 1]! ^= 1
  for (const bad of [flipped, good.slice(1), new Uint8Array(0), from.chunks[1]!, new Uint8Array(MAX_CHUNK_BYTES + 1)]) {
    const [applied] = await client.call(applyChunk(0, bad, 'liar'))
    const { 1: result, 2: refetch, 3: senders } = fieldsIn(applied!, { 1: 'varint', 2: 'packed', 3: 'messages' })
    assert.equal([result, refetch, senders.map(fromUtf8)], [RETRY, [0n], ['liar']])
  }
  for (const [i, chunk] of from.chunks.entries())
    assert.is(resultOf((await client.call(applyChunk(i, chunk)))[0]!), ACCEPT)
  const [info] = await client.call(INFO)
  assert.is(fieldsIn(info!, { 4: 'varint' })[4], 10n)
  await bench.close()
  await from.bench.close()
})

test('an offer that does not hang together is refused, another format by itself', async () => {
  const from = await giver()
  const bench = await startAbci(mounted(freshDisks()))
  const client = await bench.dial()
  const { appHash, chunks, height } = from
  const many = Array.from({ length: MAX_CHUNKS + 1 }, () => utf8('x'))
  for (const [body, hash, expected] of [
    [encodeOffer(height, chunks), appHash, ACCEPT],
    [encodeOffer(height, chunks, { 2: 2 }), appHash, REJECT_FORMAT],
    [encodeOffer(height, chunks, { 3: chunks.length + 1 }), appHash, REJECT],
    [encodeOffer(height, chunks, { 4: new Uint8Array(32) }), appHash, REJECT],
    [encodeOffer(height, chunks, { 5: new Uint8Array(31) }), appHash, REJECT],
    [encodeOffer(height, []), appHash, REJECT],
    [encodeOffer(height, many), appHash, REJECT],
    [encodeOffer(0n, chunks), appHash, REJECT],
    [encodeOffer(height, chunks), new Uint8Array(31), REJECT],
  ] as const) {
    assert.is(resultOf((await client.call(offer(body, hash)))[0]!), expected)
  }
  // What was refused last took the place of what was accepted first.
  assert.is(resultOf((await client.call(applyChunk(0, chunks[0]!)))[0]!), ABORT)
  await bench.close()
  await from.bench.close()
})

test('a snapshot whose chunks are whole but whose state is another is refused, and nothing is restored', async () => {
  const from = await giver()
  const { appHash, height, chunks } = from
  const state = must(joinState(chunks))
  const entries = [...state.entries]
  const hashes = [...state.headerHashes]
  const cut = (changed: typeof entries, headerHashes = hashes) => [...cutState({ entries: changed, headerHashes })]
  const richer = entries.map(([key, value]): (typeof entries)[number] =>
    fromUtf8(key) === `account/${buyer.id}`
      ? [key, value.map((byte, i) => (i === value.length - 1 ? byte ^ 1 : byte))]
      : [key, value],
  )
  for (const lie of [
    cut(richer),
    cut(entries.slice(1)),
    cut([...entries, [utf8('account/ffff'), utf8('x')]]),
    cut([...entries, [utf8('no table'), utf8('x')]]),
    cut(entries, hashes.slice(1)),
    cut(entries, [...hashes.slice(1), hashes[0]!]),
    [encode([1, hashes[0]!]), ...cut(entries)],
    [encode(7)],
    [encode([0, [[1, 2]]])],
    [encode([2, []])],
    [Uint8Array.of(0xff)],
  ]) {
    const bench = await startAbci(mounted(freshDisks()))
    const client = await bench.dial()
    assert.is(resultOf((await client.call(offer(encodeOffer(height, lie), appHash)))[0]!), ACCEPT)
    let last = 0n
    for (const [i, chunk] of lie.entries()) last = resultOf((await client.call(applyChunk(i, chunk)))[0]!)
    assert.is(last, REJECT_SNAPSHOT)
    const [info] = await client.call(INFO)
    assert.is(fieldsIn(info!, { 4: 'varint' })[4], 0n)
    assert.equal(
      bench.log.filter(line => line.startsWith('bug')),
      [],
    )
    // The honest one is still taken afterwards.
    await client.call(offer(from.snapshot, appHash))
    for (const [i, chunk] of chunks.entries()) last = resultOf((await client.call(applyChunk(i, chunk)))[0]!)
    assert.is(last, ACCEPT)
    await bench.close()
  }
  // The same state under another height is a lie too.
  const bench = await startAbci(mounted(freshDisks()))
  const client = await bench.dial()
  await client.call(offer(encodeOffer(9n, chunks), appHash))
  let last = 0n
  for (const [i, chunk] of chunks.entries()) last = resultOf((await client.call(applyChunk(i, chunk)))[0]!)
  assert.is(last, REJECT_SNAPSHOT)
  await bench.close()
  await from.bench.close()
})

test('large states are cut into chunks within the limit, alike on every node, and joined again', () => {
  const entries = Array.from({ length: 40_000 }, (_, i) => [utf8(`key ${i}`), new Uint8Array(60).fill(i)] as const)
    .map(entry => ({ entry, place: toHex(sha256(entry[0])) }))
    .sort((a, b) => (a.place < b.place ? -1 : 1))
    .map(({ entry }) => entry)
  const headerHashes = Array.from({ length: 70_000 }, (_, i) => sha256(utf8(`header ${i}`)))
  const chunks = [...cutState({ entries, headerHashes })]
  assert.ok(chunks.length >= 5)
  for (const chunk of chunks) assert.ok(chunk.length <= MAX_CHUNK_BYTES, `${chunk.length}`)
  const joined = must(joinState(chunks))
  assert.is([...joined.entries].length, entries.length)
  assert.ok(
    [...joined.entries].every(
      ([key, value], i) => equalBytes(key, entries[i]![0]) && equalBytes(value, entries[i]![1]),
    ),
  )
  assert.ok([...joined.headerHashes].every((hash, i) => equalBytes(hash, headerHashes[i]!)))
  const offered = snapshotOf(7n, chunks.map(sha256))
  assert.ok(isSoundOffer(offered))
  assert.equal(offered, snapshotOf(7n, [...cutState({ entries, headerHashes })].map(sha256)))
}, 60_000)

test('the newest snapshots are kept over restarts; what a crash left of one is removed', async () => {
  const disks = freshDisks()
  const disk = disks.snapshots.mount()
  const store = must(await openSnapshots(disk, 2))
  for (const height of [10n, 20n, 30n]) must(await store.keep(height, [utf8(`a ${height}`), utf8(`b ${height}`)]))
  assert.equal(
    store.list().map(({ height }) => height),
    [30n, 20n],
  )
  assert.is(fromUtf8((await store.chunk(30n, 1, 1))!), 'b 30')
  for (const [height, format, chunk] of [
    [10n, 1, 0],
    [30n, 2, 0],
    [30n, 1, 2],
  ] as const) {
    assert.is(await store.chunk(height, format, chunk), undefined)
  }
  must(await disk.replace('snapshot-40.0', utf8('half')))
  must(await disk.replace('snapshot-50.offer', utf8('junk')))
  const again = must(await openSnapshots(disk, 2))
  assert.equal(again.list(), store.list())
  assert.equal(
    must(await disk.list()).filter(name => /-[145]0\./.test(name)),
    [],
  )
})

test.run()
