/** CometBFT's RPC as its own clients use it: URI and JSON-RPC, words and encodings. */
import { readFileSync } from 'node:fs'
import { rpcRoutes, rpcSockets } from '../../../agent/validator/rpc.ts'
import type { HttpRequest } from '../../../drivers/http/server.ts'
import { equalBytes, fromHex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { decode } from '../../../protocol/cbor.ts'
import { fromBase64, toBase64 } from '../../../protocol/chain/base64.ts'
import { hashConsensusParams, verifyTx } from '../../../protocol/chain/block.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import { parseSignedHeader, parseValidators } from '../../../protocol/chain/rpc-json.ts'
import { createStateTree } from '../../../protocol/chain/smt.ts'
import { expandProof } from '../../../protocol/chain/smt-compact.ts'
import { hashValidators } from '../../../protocol/chain/validators.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { auditLedger, type Entries } from '../../../protocol/ledger/audit.ts'
import { MAX_TX_BYTES } from '../../../protocol/ledger/tx.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { buyer, CHAIN_ID } from '../../protocol/ledger/parties.ts'
import { makeProducer, payment } from './street.ts'

const test = suite('ledger rpc')

// biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes, looked into by the assertions.
type Json = any

async function chain(blocks = 3, validators = 4) {
  const { producer, time } = makeProducer({ keep: 10 }, validators)
  for (let i = 0; i < blocks; i++) await producer.produce()
  const routes = rpcRoutes(producer, time.timers)
  const ask = async (request: Partial<HttpRequest>): Promise<{ status: number; json: Json }> => {
    const full = { method: 'GET', path: '/', query: new URLSearchParams(), body: new Uint8Array(0), ...request }
    const reply = await routes[`${full.method} ${full.path}`]!(full)
    if (reply.kind !== 'json') throw new Error('not JSON')
    return { status: reply.status, json: JSON.parse(JSON.stringify(reply.value)) }
  }
  return {
    producer,
    time,
    get: (path: string, query = '') => ask({ path, query: new URLSearchParams(query) }),
    post: (body: unknown) =>
      ask({ method: 'POST', body: utf8(typeof body === 'string' ? body : JSON.stringify(body)) }),
    call: async (method: string, params?: unknown): Promise<Json> =>
      (await ask({ method: 'POST', body: utf8(JSON.stringify({ jsonrpc: '2.0', id: 3, method, params })) })).json,
  }
}

test('heights out of range are refused in the words that clients match', async () => {
  const { get } = await chain(12)
  const words = async (path: string, query: string) => {
    const { status, json } = await get(path, query)
    assert.is(status, 500)
    assert.is(json.id, -1)
    assert.is(json.error.code, -32603)
    assert.is(json.error.message, 'Internal error')
    return json.error.data
  }
  for (const path of ['/commit', '/header', '/block', '/block_results', '/validators']) {
    assert.is(
      await words(path, 'height=13'),
      'height 13 must be less than or equal to the current blockchain height 12',
    )
    assert.is(await words(path, 'height=0'), 'height must be greater than 0, but got 0')
    assert.is(await words(path, 'height=2'), 'height 2 is not available, lowest height is 3')
  }
})

test('a commit, its header and its validators agree, at a height and at the newest', async () => {
  const { get } = await chain()
  for (const [query, height] of [
    ['', 3n],
    ['height=2', 2n],
    ['height="2"', 2n],
  ] as const) {
    const { header, commit } = must(parseSignedHeader((await get('/commit', query)).json.result.signed_header))
    assert.is(header.height, height)
    assert.ok(equalBytes(hashHeader(header), commit.blockId.hash))
    const { block_height, validators, count, total } = (await get('/validators', query)).json.result
    assert.equal([block_height, count, total], [String(height), '4', '4'])
    assert.ok(equalBytes(hashValidators(must(parseValidators(validators))), header.validatorsHash))
    assert.is((await get('/header', query)).json.result.header.height, String(height))
  }
})

test('validators come in pages of 30, at most 100', async () => {
  const { get } = await chain(1, 130)
  const page = async (query: string) => (await get('/validators', query)).json.result.count
  assert.is(await page(''), '30')
  assert.is(await page('per_page=500'), '100')
  assert.is(await page('per_page=100&page=2'), '30')
  assert.is(
    (await get('/validators', 'per_page=100&page=3')).json.error.data,
    'page should be within [1, 2] range, given 3',
  )
})

test('status shows the newest block and the oldest kept', async () => {
  const { get, producer } = await chain(12)
  const { node_info, sync_info, validator_info } = (await get('/status')).json.result
  assert.is(node_info.network, CHAIN_ID)
  assert.equal([sync_info.earliest_block_height, sync_info.latest_block_height], ['3', '12'])
  assert.is(sync_info.latest_block_hash, toHex(producer.block(12n)!.blockId.hash).toUpperCase())
  assert.is(sync_info.catching_up, false)
  assert.is(validator_info.voting_power, '10')
  const empty = await chain(0)
  assert.is((await empty.get('/status')).json.result.sync_info.latest_block_height, '0')
  assert.is((await empty.get('/commit')).json.error.data, 'there is no block yet')
})

test('a block carries its transactions, and results come beside them', async () => {
  const { get, producer } = await chain(1)
  const tx = payment(0n)
  producer.submit(tx)
  producer.submit(payment(1n))
  await producer.produce()
  const { block, block_id } = (await get('/block', 'height=2')).json.result
  assert.equal(block.data.txs, [toBase64(tx), toBase64(payment(1n))])
  assert.is(block.last_commit.height, '1')
  assert.is(block_id.hash, toHex(producer.block(2n)!.blockId.hash).toUpperCase())
  const results = (await get('/block_results', 'height=2')).json.result
  assert.equal(
    results.txs_results.map((r: Json) => [r.code, r.gas_used]),
    [
      [0, '1'],
      [0, '1'],
    ],
  )
  assert.is((await get('/block_results', 'height=1')).json.result.txs_results, null)
  const first = (await get('/block', 'height=1')).json.result.block
  assert.equal(first.last_commit, {
    height: '0',
    round: 0,
    block_id: { hash: '', parts: { total: 0, hash: '' } },
    signatures: [],
  })
})

test('a transaction is found by its hash, with a proof against the DataHash', async () => {
  const { get, call, producer } = await chain(1)
  for (const n of [0n, 1n, 2n]) producer.submit(payment(n))
  await producer.produce()
  const tx = payment(1n)
  const { result } = (await get('/tx', `hash=0x${toHex(sha256(tx))}&prove=true`)).json
  assert.equal([result.height, result.index], ['2', 1])
  const { total, index, leaf_hash, aunts } = result.proof.proof
  const proof = {
    total: Number(total),
    index: Number(index),
    leafHash: fromBase64(leaf_hash)!,
    aunts: aunts.map(fromBase64),
  }
  assert.ok(verifyTx(fromHex(result.proof.root_hash)!, tx, proof))
  assert.is((await call('tx', { hash: toBase64(sha256(tx)) })).result.height, '2')
  assert.match((await get('/tx', 'hash=0x00')).json.error.data, /^tx \(00\) not found$/)
})

test('a transaction is broadcast in each of the three ways, and a second time refused as known', async () => {
  const { get, call, producer } = await chain(1)
  const sync = (await get('/broadcast_tx_sync', `tx=0x${toHex(payment(0n))}`)).json.result
  assert.equal(sync, { code: 0, data: '', log: '', codespace: '', hash: toHex(sha256(payment(0n))).toUpperCase() })
  assert.is((await call('broadcast_tx_async', { tx: toBase64(payment(1n)) })).result.code, 0)
  assert.is((await call('broadcast_tx_sync', { tx: toBase64(payment(0n)) })).error.data, 'tx already exists in cache')
  const waiting = call('broadcast_tx_commit', { tx: toBase64(payment(2n)) })
  await producer.produce()
  const { result } = await waiting
  assert.equal([result.height, result.tx_result.code, result.check_tx.code], ['2', 0, 0])
  const refused = (await call('broadcast_tx_commit', { tx: toBase64(payment(9n)) })).result
  assert.equal([refused.height, refused.check_tx.code, refused.check_tx.codespace], ['0', 5, 'tieline'])
  assert.match(
    (await call('broadcast_tx_sync', { tx: toBase64(new Uint8Array(MAX_TX_BYTES + 1)) })).error.data,
    /^Tx too large/,
  )
  assert.is((await call('broadcast_tx_sync', {})).error.code, -32602)
})

test('who waits for a block that does not come is told so', async () => {
  const { call, time } = await chain(1)
  const waiting = call('broadcast_tx_commit', { tx: toBase64(payment(0n)) })
  await time.advance(10_000)
  assert.match((await waiting).error.data, /^timed out/)
})

test('state is asked by key, in hex or as text, with and without its proof', async () => {
  const { get, call } = await chain()
  const key = `account/${buyer.id}`
  const asked = [
    (await get('/abci_query', `path="/key"&data=0x${toHex(utf8(key))}&height=2&prove=true`)).json.result.response,
    (await call('abci_query', { path: '/key', data: toHex(utf8(key)), height: '2', prove: true })).result.response,
  ]
  assert.equal(asked[0], asked[1])
  assert.equal([asked[0].code, asked[0].height, asked[0].proofOps.ops[0].type], [0, '2', 'ics23:smt'])
  assert.is((await call('abci_query', { data: toHex(utf8(key)) })).result.response.proofOps, null)
  assert.is((await call('abci_query', { data: toHex(utf8('none')), prove: true })).result.response.value, null)
  assert.is((await call('abci_query', { data: '00', height: '9' })).result.response.code, 1)
  assert.is((await call('abci_query', {})).result.response.code, 2)
})

test('a compact proof says the same in fewer bytes, of what is there and of what is not', async () => {
  const { call, producer } = await chain()
  for (const text of [`account/${buyer.id}`, 'account/nobody']) {
    const key = utf8(text)
    const { value, proof } = producer.query(key, 2n)!
    const ask = { path: '/key/compact', data: toHex(key), height: '2', prove: true }
    const { response } = (await call('abci_query', ask)).result
    const [op] = response.proofOps.ops
    assert.is(op.type, 'tieline:smt-compact')
    const bytes = fromBase64(op.data)!
    assert.ok(bytes.length < proof.length)
    assert.is(toHex(must(expandProof(bytes, key, value))), toHex(proof))
  }
})

test('a header is proven by the accumulator in two steps, and an unknown path is named', async () => {
  const { call } = await chain(5)
  const asked = { path: '/header', data: toHex(utf8('2')), height: '4', prove: true }
  const { ops } = (await call('abci_query', asked)).result.response.proofOps
  assert.equal(
    ops.map((op: Json) => op.type),
    ['tieline:header', 'ics23:smt'],
  )
  const unknown = (await call('abci_query', { ...asked, data: toHex(utf8('9')) })).result.response
  assert.equal([unknown.code, unknown.log], [1, 'headers 1 to 4 are known, not 9'])
  assert.is((await call('abci_query', { ...asked, path: '/store/x/key' })).result.response.code, 3)
})

test('the whole state can be fetched, has the AppHash of the next header, and adds up', async () => {
  const { call, producer } = await chain()
  const { value } = (await call('abci_query', { path: '/state', height: '2' })).result.response
  const entries = must(decode(fromBase64(value)!)) as unknown as Entries
  assert.ok(equalBytes(createStateTree().commit(1n, [...entries]), producer.block(3n)!.header.appHash))
  assert.equal(auditLedger(entries).problems, [])
})

test('genesis, health and evidence are served', async () => {
  const { get, call, producer } = await chain(0)
  const { genesis } = (await get('/genesis')).json.result
  assert.equal([genesis.chain_id, genesis.validators.length, genesis.app_state.meters.length], [CHAIN_ID, 4, 2])
  assert.equal((await get('/health')).json.result, {})
  // As CometBFT itself wrote it, of a chain that is not ours.
  const file = new URL('../../protocol/chain/cometbft-evidence.json', import.meta.url)
  const { json } = JSON.parse(readFileSync(file, 'utf8')).evidence.lunatic
  const refused = await call('broadcast_evidence', { evidence: json })
  assert.equal([refused.error.code, producer.evidence().length], [-32603, 0])
  assert.match(refused.error.data, /^failed to add evidence: light\.evidence \(reason=its height is not there\)$/)
  assert.is((await call('broadcast_evidence', { evidence: { conflict: 1 } })).error.code, -32602)
  assert.is((await call('broadcast_evidence', {})).error.code, -32602)
})

test('a web socket carries the same methods, and says that it has no events', async () => {
  const { producer, time } = await chain(2)
  const answer = rpcSockets(producer, time.timers)['/websocket']!
  const ask = async (method: string, params: object = {}): Promise<Json> =>
    JSON.parse(await answer(JSON.stringify({ jsonrpc: '2.0', id: 7, method, params })))
  assert.is((await ask('commit', { height: '2' })).result.signed_header.header.height, '2')
  assert.match((await ask('subscribe', { query: "tm.event = 'NewBlock'" })).error.data, /^events are not served here/)
  assert.equal(await ask('unsubscribe_all'), { jsonrpc: '2.0', id: 7, result: {} })
  assert.is(JSON.parse(await answer('{')).error.code, -32700)
})

test('consensus parameters are those of the header', async () => {
  const { get, producer } = await chain(2)
  const { block } = (await get('/consensus_params', 'height=1')).json.result.consensus_params
  const hash = hashConsensusParams({ maxBytes: BigInt(block.max_bytes), maxGas: BigInt(block.max_gas) })
  assert.is(toHex(hash), toHex(producer.block(1n)!.header.consensusHash))
})

test('JSON-RPC mistakes get the codes of its specification', async () => {
  const { post, call } = await chain(1)
  assert.is((await post('{')).json.error.code, -32700)
  assert.is((await post([])).json.error.code, -32600)
  assert.is((await post(Array.from({ length: 21 }, () => ({})))).json.error.code, -32600)
  for (const method of ['no_such', '__proto__', 'constructor', 7, undefined]) {
    assert.is((await call(method as string)).error.code, -32601)
  }
  for (const params of [7, [], 'x']) assert.is((await call('commit', params)).error.code, -32602)
  for (const height of ['x', '1.5', 1.5, true, {}, '9'.repeat(19), '']) {
    const code = height === '' ? undefined : -32602
    assert.is((await call('commit', { height })).error?.code, code, JSON.stringify(height))
  }
  assert.is((await post('null')).json.error.code, -32601)
  const batch = (
    await post([
      { jsonrpc: '2.0', id: 'a', method: 'health' },
      { jsonrpc: '2.0', id: 'b', method: 'none' },
    ])
  ).json
  assert.equal(
    batch.map((reply: Json) => [reply.id, reply.error?.code]),
    [
      ['a', undefined],
      ['b', -32601],
    ],
  )
})

test('an id that is no text or number is refused, however deep', async () => {
  const { post } = await chain()
  const depth = 400_000
  for (const id of ['{}', '[1]', 'true', '['.repeat(depth) + ']'.repeat(depth)]) {
    const { json } = await post(`[{"id":${id},"method":"health"},{"id":"a","method":"health"}]`)
    assert.equal(
      json.map((reply: Json) => [reply.id, reply.error?.code]),
      [
        [null, -32600],
        ['a', undefined],
      ],
    )
  }
})

test.run()
