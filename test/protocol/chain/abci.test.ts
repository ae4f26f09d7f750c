/**
 * ABCI messages against CometBFT's own: `requests` and `responses` were written by its Go types (v0.40.0, abci.WriteMessage),
 * `captured` came over the socket of running nodes of both versions.
 */
import { readFileSync } from 'node:fs'
import { concat, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { frameMessage, MAX_ABCI_MESSAGE_BYTES, pullMessage } from '../../../protocol/chain/abci-frame.ts'
import { type AbciRequest, decodeRequest, MAX_BLOCK_TXS } from '../../../protocol/chain/abci-request.ts'
import { type AbciResponse, encodeResponse } from '../../../protocol/chain/abci-response.ts'
import { bytesField, messageField, varintField } from '../../../protocol/chain/proto.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('ABCI messages')
const known = JSON.parse(readFileSync(new URL('./abci-messages.json', import.meta.url), 'utf8')) as {
  requests: Record<string, string>
  responses: Record<string, string>
  captured: Record<string, Record<string, string>>
}

/** The message of a whole frame. */
function messageIn(frame: Uint8Array): Uint8Array {
  const pulled = pullMessage(frame)
  if (pulled.kind !== 'frame' || pulled.used !== frame.length) throw new Error(`not one frame: ${toHex(frame)}`)
  return pulled.value
}

const decoded = (framed: string): AbciRequest => must(decodeRequest(messageIn(hex(framed))))
const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)

const time = { seconds: 1_800_000_000n, nanos: 123_456_789 }
const txs = [utf8('one'), new Uint8Array(0), utf8('three')]
const snapshot = { height: 300n, format: 1, chunks: 2, hash: filled(32, 3), metadata: filled(64, 4) }
const misbehaviour = [{ type: 'duplicate-vote', address: filled(20, 9), height: 5n }] as const

const REQUESTS: { readonly [K in AbciRequest['kind']]: Extract<AbciRequest, { kind: K }> } = {
  echo: { kind: 'echo', message: utf8('hello') },
  flush: { kind: 'flush' },
  info: { kind: 'info', version: '0.40.0', abciVersion: '2.0.0' },
  initChain: {
    kind: 'initChain',
    chainId: 'street-1',
    time,
    validators: [{ publicKey: filled(32, 7), power: 10n }],
    appState: utf8('{"a":1}'),
    initialHeight: 1n,
    maxBlockBytes: 22_020_096n,
  },
  query: { kind: 'query', data: utf8('key'), path: '/key', height: 7n, prove: true },
  checkTx: { kind: 'checkTx', tx: utf8('tx'), again: true },
  commit: { kind: 'commit' },
  listSnapshots: { kind: 'listSnapshots' },
  offerSnapshot: { kind: 'offerSnapshot', snapshot, appHash: filled(32, 5) },
  loadSnapshotChunk: { kind: 'loadSnapshotChunk', height: 300n, format: 1, chunk: 1 },
  applySnapshotChunk: { kind: 'applySnapshotChunk', index: 1, chunk: utf8('chunk'), sender: 'peer' },
  prepareProposal: { kind: 'prepareProposal', maxTxBytes: 1000n, txs, height: 6n, time },
  processProposal: { kind: 'processProposal', txs, height: 6n, time },
  extendVote: { kind: 'extendVote' },
  verifyVoteExtension: { kind: 'verifyVoteExtension', extension: utf8('ext') },
  finalizeBlock: { kind: 'finalizeBlock', txs, height: 6n, time, hash: filled(32, 8), misbehaviour },
  insertTx: { kind: 'insertTx', tx: utf8('tx') },
  reapTxs: { kind: 'reapTxs' },
}

const result = { data: new Uint8Array(0), log: '', gasWanted: 0n, gasUsed: 0n, codespace: '', code: 0 }
const appHash = filled(32, 2)
const joins = { publicKey: filled(32, 7), power: 10n }
const leaves = { publicKey: filled(32, 8), power: 0n }

const RESPONSES: Readonly<Record<string, AbciResponse>> = {
  exception: { kind: 'exception', error: 'no' },
  echo: { kind: 'echo', message: utf8('hello') },
  flush: { kind: 'flush' },
  info: { kind: 'info', data: 'tieline-ledger', version: '1', appVersion: 1n, height: 300n, appHash },
  infoEmpty: { kind: 'info', data: '', version: '', appVersion: 0n, height: 0n, appHash: new Uint8Array(0) },
  initChain: { kind: 'initChain', validators: [joins], appHash },
  query: {
    kind: 'query',
    code: 0,
    log: '',
    key: utf8('key'),
    value: utf8('value'),
    proof: [{ type: 'ics23:smt', key: utf8('key'), data: utf8('proof') }],
    height: 7n,
    codespace: '',
  },
  queryRefused: {
    kind: 'query',
    code: 1,
    log: 'gone',
    key: new Uint8Array(0),
    value: undefined,
    proof: [],
    height: 7n,
    codespace: 'tieline',
  },
  checkTx: { kind: 'checkTx', code: 12, data: utf8('d'), log: 'l', gasWanted: 3n, gasUsed: 2n, codespace: 'tieline' },
  commit: { kind: 'commit', retainHeight: 0n },
  commitRetain: { kind: 'commit', retainHeight: 9n },
  listSnapshots: {
    kind: 'listSnapshots',
    snapshots: [snapshot, { height: 0n, format: 0, chunks: 0, hash: new Uint8Array(0), metadata: new Uint8Array(0) }],
  },
  offerSnapshot: { kind: 'offerSnapshot', result: 'rejectFormat' },
  loadSnapshotChunk: { kind: 'loadSnapshotChunk', chunk: utf8('chunk') },
  applySnapshotChunk: { kind: 'applySnapshotChunk', result: 'retry', refetch: [0, 1, 300], rejectSenders: ['peer'] },
  prepareProposal: { kind: 'prepareProposal', txs },
  processProposal: { kind: 'processProposal', accept: false },
  extendVote: { kind: 'extendVote', extension: new Uint8Array(0) },
  verifyVoteExtension: { kind: 'verifyVoteExtension', accept: true },
  finalizeBlock: {
    kind: 'finalizeBlock',
    results: [
      { ...result, data: utf8('d'), gasWanted: 5n, gasUsed: 4n },
      { ...result, code: 12, log: 'no', codespace: 'tieline' },
      result,
    ],
    validatorUpdates: [joins, leaves],
    appHash,
  },
  insertTx: { kind: 'insertTx', code: 1 },
  reapTxs: { kind: 'reapTxs', txs },
}

test('every request that Go writes is read', () => {
  assert.equal(Object.keys(known.requests).sort(), Object.keys(REQUESTS).sort())
  for (const [name, framed] of Object.entries(known.requests)) {
    assert.equal(decoded(framed), REQUESTS[name as AbciRequest['kind']], name)
  }
})

test('every response is written as Go writes it', () => {
  assert.equal(Object.keys(known.responses).sort(), Object.keys(RESPONSES).sort())
  for (const [name, framed] of Object.entries(known.responses)) {
    assert.is(toHex(frameMessage(encodeResponse(RESPONSES[name]!))), framed, name)
  }
})

test('what running nodes sent is read', () => {
  for (const [version, byNumber] of Object.entries(known.captured)) {
    const requests = Object.values(byNumber).map(decoded)
    const of = <K extends AbciRequest['kind']>(kind: K) =>
      requests.find((one): one is Extract<AbciRequest, { kind: K }> => one.kind === kind)!
    assert.is(of('info').abciVersion, '2.0.0', version)
    const begin = of('initChain')
    assert.is(begin.chainId, 'tieline-1')
    assert.is(begin.maxBlockBytes, 22_020_096n)
    assert.is(begin.initialHeight, 1n)
    assert.equal(
      begin.validators.map(({ power }) => power),
      [10n],
    )
    assert.is(JSON.parse(Buffer.from(begin.appState).toString()).fee, '100')
    const block = of('finalizeBlock')
    assert.is(block.height, 2n)
    assert.is(block.hash.length, 32)
    assert.ok(block.time.seconds > begin.time.seconds)
    assert.is(of('processProposal').height, 2n)
    assert.ok(of('prepareProposal').maxTxBytes > 20_000_000n)
  }
})

test('a frame cut at every byte asks for more, and never for too much', () => {
  for (const framed of [...Object.values(known.requests), ...Object.values(known.responses)]) {
    const frame = hex(framed)
    for (let cut = 0; cut < frame.length; cut++) {
      const pulled = pullMessage(frame.subarray(0, cut))
      if (pulled.kind !== 'need') throw new Error(`${pulled.kind} of ${cut} bytes`)
      assert.ok(pulled.bytes >= 1 && cut + pulled.bytes <= frame.length)
    }
  }
})

test('a length that is none, or beyond the cap, is junk before any of its bytes are there', () => {
  //                      5 septets        not shortest   above the cap          just above a cap of 2
  for (const [bytes, code, limit] of [
    ['ff ff ff ff 01', 'abci.length', undefined],
    ['80 00', 'abci.length', undefined],
    ['ff ff ff 7f', 'abci.too-long', undefined],
    ['03', 'abci.too-long', 2],
  ] as const) {
    const pulled = limit === undefined ? pullMessage(hex(bytes)) : pullMessage(hex(bytes), limit)
    assert.is(pulled.kind, 'junk', bytes)
    if (pulled.kind === 'junk') assert.is(pulled.fault.code, code)
  }
  assert.is(pullMessage(hex('03'), 3).kind, 'need')
  assert.ok(MAX_ABCI_MESSAGE_BYTES < 2 ** 28)
})

test('a field of a later version is passed over, in the request and beside it', () => {
  const later = [varintField(90, 7n), messageField(91, utf8('x')), hex('e9 05 0102030405060708'), hex('f5 05 01020304')]
  for (const field of later) {
    const request = decodeRequest(messageField(8, concat(bytesField(1, utf8('tx')), field)))
    assert.equal(must(request), { kind: 'checkTx', tx: utf8('tx'), again: false })
    const beside = decodeRequest(concat(messageField(8, bytesField(1, utf8('tx'))), field))
    assert.equal(must(beside), { kind: 'checkTx', tx: utf8('tx'), again: false })
  }
})

test('what is no request is refused with its own fault', () => {
  const codeOf = (bytes: Uint8Array) => {
    const read = decodeRequest(bytes)
    return read.ok ? 'read' : read.fault.code
  }
  assert.is(codeOf(new Uint8Array(0)), 'abci.method')
  // DeliverTx of ABCI 1.0.
  assert.is(codeOf(messageField(9, new Uint8Array(0))), 'abci.method')
  assert.is(codeOf(messageField(23, new Uint8Array(0))), 'abci.method')
  assert.is(codeOf(messageField(8, Uint8Array.of(0x0a, 0x05, 1))), 'chain.proto')
  assert.is(codeOf(messageField(3, bytesField(1, Uint8Array.of(0xff)))), 'abci.field')
  const at = (seconds: bigint, nanos: bigint) => {
    const stamp = messageField(6, concat(varintField(1, seconds), varintField(2, nanos)))
    return messageField(20, stamp)
  }
  assert.is(codeOf(at(1n, 999_999_999n)), 'read')
  assert.is(codeOf(at(1n, 1_000_000_000n)), 'abci.field')
  assert.is(codeOf(at(253_402_300_800n, 0n)), 'abci.field')
  const secp = messageField(5, messageField(4, messageField(1, bytesField(2, filled(33, 2)))))
  assert.is(codeOf(secp), 'abci.field')
})

test('a proposal of more transactions than could be valid is told apart from a broken request', () => {
  const empty = Buffer.from(messageField(1, new Uint8Array(0)))
  const most = Buffer.concat(Array.from({ length: MAX_BLOCK_TXS }, () => empty))
  assert.is(must(decodeRequest(messageField(17, most))).kind, 'processProposal')
  const read = decodeRequest(messageField(17, Buffer.concat([most, empty])))
  assert.is(read.ok ? '' : read.fault.code, 'abci.too-many-txs')
})

test('no bytes make the reader throw', () => {
  const frames = Object.values(known.requests).map(framed => messageIn(hex(framed)))
  assertProperty(
    fc.property(fc.constantFrom(...frames), fc.nat(), fc.nat(255), fc.nat(), (frame, at, value, cut) => {
      const changed = frame.slice(0, frame.length - (cut % (frame.length + 1)))
      if (changed.length > 0) changed[at % changed.length] = value
      decodeRequest(changed)
    }),
    3000,
  )
  assertProperty(fc.property(fc.uint8Array({ maxLength: 64 }), bytes => void decodeRequest(bytes)))
})

test.run()
