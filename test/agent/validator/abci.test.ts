/** What each ABCI call comes to, over real sockets. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { equalBytes, fromUtf8, toHex, utf8 } from '../../../protocol/bytes.ts'
import { decode } from '../../../protocol/cbor.ts'
import { frameMessage } from '../../../protocol/chain/abci-frame.ts'
import { MAX_BLOCK_TXS } from '../../../protocol/chain/abci-request.ts'
import { SMT_SPEC, verifyMembership, verifyNonMembership } from '../../../protocol/chain/ics23.ts'
import { messageField } from '../../../protocol/chain/proto.ts'
import { createStateTree } from '../../../protocol/chain/smt.ts'
import { createApp } from '../../../protocol/ledger/app.ts'
import { micros } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, buyer, CHAIN_ID, genesis, partyOf, seller, signTx, verifier } from '../../protocol/ledger/parties.ts'
import { closing, freshDisks, mounted, startAbci } from './abci-bench.ts'
import {
  type AbciClient,
  applyChunk,
  COMMIT,
  checkTx,
  echo,
  exceptionOf,
  FLUSH,
  fieldsIn,
  finalize,
  INFO,
  initChain,
  LIST_SNAPSHOTS,
  prepare,
  processProposal,
  query,
  testBlock,
} from './abci-client.ts'

const test = closing(suite('ABCI host'))
const folder = mkdtempSync(join(tmpdir(), 'tieline-abci-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

const pay = (sequence: bigint, amount = 1n) =>
  signTx(seller, sequence, { kind: 'transfer', body: { to: buyer.address, amount: micros(amount) } })

/** A host that nothing has happened to yet. */
const fresh = (options: Parameters<typeof startAbci>[1] = {}) => startAbci(mounted(freshDisks()), options)

const INFO_FIELDS = { 4: 'varint', 5: 'bytes' } as const

async function makeBlock(client: AbciClient, height: bigint, txs: readonly Uint8Array[]): Promise<Uint8Array> {
  const [finalized] = await client.call(finalize(testBlock(height, BEGIN, txs)), FLUSH)
  assert.is(finalized!.number, 21)
  const [committed] = await client.call(COMMIT, FLUSH)
  assert.is(committed!.number, 12)
  return fieldsIn(finalized!, { 5: 'bytes' })[5]
}

test('a chain from its genesis: proposed, judged, executed, committed, asked about', async () => {
  const bench = await startAbci(mounted(freshDisks()), { at: { kind: 'unix', path: join(folder, 'a.sock') } })
  const consensus = await bench.dial()
  const mempool = await bench.dial()
  const queries = await bench.dial()
  const [before] = await queries.call(INFO, FLUSH)
  assert.equal(fieldsIn(before!, INFO_FIELDS), { 4: 0n, 5: new Uint8Array(0) })

  const [begun] = await consensus.call(initChain(genesis), FLUSH)
  const reference = createApp(genesis)
  assert.is(toHex(fieldsIn(begun!, { 3: 'bytes' })[3]), toHex(reference.appHash))

  const good = pay(0n)
  const [taken, refused, flushed] = await mempool.call(checkTx(good), checkTx(utf8('junk')), FLUSH)
  assert.equal(fieldsIn(taken!, { 1: 'varint', 5: 'varint' }), { 1: 0n, 5: 1n })
  assert.is.not(fieldsIn(refused!, { 1: 'varint' })[1], 0n)
  assert.is(fromUtf8(fieldsIn(refused!, { 8: 'bytes' })[8]), 'tieline')
  assert.is(flushed!.number, 3)

  const wrong = signTx(seller, 5n, { kind: 'transfer', body: { to: buyer.address, amount: micros(1n) } })
  const [prepared] = await consensus.call(prepare(testBlock(1n, BEGIN, [wrong, good])), FLUSH)
  assert.equal(fieldsIn(prepared!, { 1: 'messages' })[1].map(toHex), [toHex(good)])
  const [accepted] = await consensus.call(processProposal(testBlock(1n, BEGIN, [good])), FLUSH)
  const [rejected] = await consensus.call(processProposal(testBlock(1n, BEGIN, [good, wrong])), FLUSH)
  assert.is(fieldsIn(accepted!, { 1: 'varint' })[1], 1n)
  assert.is(fieldsIn(rejected!, { 1: 'varint' })[1], 2n)

  const appHash = await makeBlock(consensus, 1n, [good])
  const [after] = await queries.call(INFO, FLUSH)
  assert.equal(fieldsIn(after!, INFO_FIELDS), { 4: 1n, 5: appHash })

  const key = utf8(`account/${buyer.id}`)
  const [found] = await queries.call(query('/key', key), FLUSH)
  const {
    1: code,
    7: value,
    8: ops,
    9: height,
  } = fieldsIn(found!, { 1: 'varint', 7: 'bytes', 8: 'message', 9: 'varint' })
  assert.equal([code, height], [0n, 1n])
  const proofIn = (bytes: Uint8Array) =>
    fieldsIn(
      { number: 0, body: fieldsIn({ number: 0, body: bytes }, { 1: 'messages' })[1][0]! },
      { 1: 'bytes', 3: 'bytes' },
    )
  assert.is(fromUtf8(proofIn(ops!)[1]), 'ics23:smt')
  assert.ok(verifyMembership(SMT_SPEC, appHash, proofIn(ops!)[3], key, value).ok)
  const nobody = utf8(`account/${partyOf('nobody').id}`)
  const [absent] = await queries.call(query('/key', nobody, 1n), FLUSH)
  const missing = fieldsIn(absent!, { 7: 'bytes', 8: 'message' })
  assert.is(missing[7].length, 0)
  assert.ok(verifyNonMembership(SMT_SPEC, appHash, proofIn(missing[8]!)[3], nobody).ok)
  await bench.close()
})

test('the whole state comes in pages, and adds up to the AppHash', async () => {
  const bench = await fresh()
  const client = await bench.dial()
  await client.call(initChain(genesis))
  const appHash = await makeBlock(client, 1n, [pay(0n)])
  const entries: [Uint8Array, Uint8Array][] = []
  for (let pages = 0; ; pages++) {
    assert.ok(pages < 10)
    const [reply] = await client.call(query('/state', entries.at(-1)?.[0] ?? new Uint8Array(0), 1n))
    const page = must(decode(fieldsIn(reply!, { 7: 'bytes' })[7], 1 << 21)) as [Uint8Array, Uint8Array][]
    if (page.length === 0) break
    entries.push(...page)
  }
  assert.is(toHex(createStateTree(1).commit(1n, entries)), toHex(appHash))
  const [none] = await client.call(query('/nowhere', utf8('x')))
  assert.is(fieldsIn(none!, { 1: 'varint' })[1], 3n)
  const [gone] = await client.call(query('/key', utf8('x'), 9n))
  assert.is(fieldsIn(gone!, { 1: 'varint' })[1], 1n)
  await bench.close()
})

test('replies come in the order of their requests, however the bytes were cut', async () => {
  const bench = await fresh()
  const client = await bench.dial()
  const [begun] = await client.call(initChain(genesis))
  assert.is(begun!.number, 6)
  const requests = [
    echo('a'),
    INFO,
    checkTx(pay(0n)),
    LIST_SNAPSHOTS,
    finalize(testBlock(1n, BEGIN, [])),
    COMMIT,
    echo('b'),
    FLUSH,
  ]
  for (const byte of Buffer.concat(requests.map(frameMessage))) client.write(Uint8Array.of(byte))
  const numbers: number[] = []
  for (const _ of requests) numbers.push((await client.next()).number)
  assert.equal(numbers, [2, 4, 9, 13, 21, 12, 2, 3])
  // And many at once.
  const many = await client.call(...Array.from({ length: 3000 }, (_, i) => echo(String(i))), FLUSH)
  assert.equal(
    many.slice(0, 3000).map(reply => fromUtf8(fieldsIn(reply, { 1: 'bytes' })[1])),
    Array.from({ length: 3000 }, (_, i) => String(i)),
  )
  await bench.close()
})

test('what the node may not ask is answered with an exception, and the connection ends', async () => {
  const staked = {
    ...genesis,
    validators: [{ publicKey: partyOf('validator').publicKey, owner: seller.address, stake: micros(10_000_000n) }],
  }
  for (const [requests, says] of [
    [[COMMIT], /^abci\.not-begun$/],
    [[initChain(genesis), COMMIT], /^abci\.nothing-executed /],
    [[initChain(genesis), finalize(testBlock(2n, BEGIN, []))], /^abci\.height \(expected=1 received=2\)$/],
    [[initChain(genesis), finalize(testBlock(1n, BEGIN - 9_000, []))], /^abci\.time /],
    [[initChain(genesis), finalize({ ...testBlock(1n, BEGIN, []), hash: new Uint8Array(31) })], /^abci\.hash /],
    [[initChain(genesis, { initialHeight: 7n })], /^abci\.initial-height /],
    [[initChain(genesis, { maxBytes: 22_020_097n })], /^abci\.block-bytes /],
    [[initChain(genesis, { maxBytes: -1n })], /^abci\.block-bytes /],
    [[initChain(genesis, { appState: '' })], /^genesis\.json \(place=genesis\.app_state /],
    [[initChain(genesis, { appState: '{"fee": 7}' })], /^genesis\.json \(place=genesis\.app_state\.fee /],
    [[initChain({ ...genesis, chainId: 'no chain id' })], /^genesis\.json \(place=genesis\.chain_id /],
    [
      [initChain(staked, { validators: [{ publicKey: partyOf('validator').publicKey, power: 9n }] })],
      /^genesis\.validator /,
    ],
    [[messageField(9, new Uint8Array(0))], /^abci\.method \(number=9\)$/],
    [[messageField(8, Uint8Array.of(0xff))], /^chain\.proto /],
  ] as const) {
    const bench = await fresh()
    const client = await bench.dial()
    const replies = await client.call(...requests)
    assert.match(exceptionOf(replies.at(-1)!), says)
    await client.ended
    // The next connection is served: the node starts again and asks where we are.
    const [info] = await (await bench.dial()).call(INFO)
    assert.is(info!.number, 4)
    assert.equal(
      bench.log.filter(line => line.startsWith('bug')),
      [],
    )
    await bench.close()
  }
})

test('a frame beyond the cap ends the connection before it is read', async () => {
  const bench = await fresh({ limit: 1000 })
  const client = await bench.dial()
  client.write(Uint8Array.of(0xe9, 0x07))
  assert.match(exceptionOf(await client.next()), /^abci\.too-long \(bytes=1001 limit=1000\)$/)
  await client.ended
  await bench.close()
})

test('a proposal that no honest proposer makes is refused, not died of', async () => {
  const bench = await fresh()
  const client = await bench.dial()
  await client.call(initChain(genesis))
  const flood = Buffer.alloc(2 * (MAX_BLOCK_TXS + 1))
  for (let i = 0; i < flood.length; i += 2) flood[i] = 0x0a
  const [refused] = await client.call(messageField(17, flood))
  assert.is(refused!.number, 18)
  assert.is(fieldsIn(refused!, { 1: 'varint' })[1], 2n)
  await bench.close()
})

test('a proposal stays within the bytes that the node gives it', async () => {
  const bench = await fresh()
  const client = await bench.dial()
  await client.call(initChain(genesis))
  const txs = Array.from({ length: 20 }, (_, i) => pay(BigInt(i)))
  // Exactly what they take without their heads in the block, which count too.
  const bare = BigInt(txs.reduce((sum, tx) => sum + tx.length, 0))
  for (const room of [0n, 1n, bare, 500n, 1500n, 3000n, 100_000n]) {
    const [prepared] = await client.call(prepare(testBlock(1n, BEGIN, txs), room))
    // The body is the list as it stands in a block.
    assert.ok(BigInt(prepared!.body.length) <= room, `${prepared!.body.length} in ${room}`)
    if (room === 100_000n) assert.is(fieldsIn(prepared!, { 1: 'messages' })[1].length, txs.length)
  }
  await bench.close()
})

test('a block that was executed again, or another in its place, counts once', async () => {
  const bench = await fresh()
  const client = await bench.dial()
  await client.call(initChain(genesis))
  await client.call(finalize(testBlock(1n, BEGIN, [pay(0n, 5n)])))
  await client.call(finalize(testBlock(1n, BEGIN, [pay(0n, 7n)])))
  const appHash = await makeBlock(client, 1n, [pay(0n, 7n)])
  const reference = createApp(genesis)
  const block = { ...testBlock(1n, BEGIN, [pay(0n, 7n)]), misbehaved: [], verifier }
  assert.ok(equalBytes(reference.finalizeBlock(block).appHash, appHash))
  await bench.close()
})

test('InitChain again before the first block begins anew; after it, it is refused', async () => {
  const bench = await fresh()
  const client = await bench.dial()
  await client.call(initChain({ ...genesis, chainId: 'other-1' }))
  await client.call(initChain(genesis))
  const [found] = await client.call(query('/key', utf8('chain')))
  assert.ok(Buffer.from(fieldsIn(found!, { 7: 'bytes' })[7]).includes(CHAIN_ID))
  await makeBlock(client, 1n, [])
  const [again] = await client.call(initChain(genesis))
  assert.match(exceptionOf(again!), /^abci\.begun /)
  await bench.close()
})

test('a chunk that nobody offered aborts', async () => {
  const bench = await fresh()
  const client = await bench.dial()
  const [reply] = await client.call(applyChunk(0, utf8('x')))
  assert.is(fieldsIn(reply!, { 1: 'varint' })[1], 2n)
  await bench.close()
})

test.run()
