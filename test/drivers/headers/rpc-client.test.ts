/** The RPC client over real HTTP against our own server, and against servers that misbehave. */
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { rpcRoutes } from '../../../agent/validator/rpc.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { createRpcClient } from '../../../drivers/headers/rpc-client.ts'
import { serveHttp } from '../../../drivers/http/server.ts'
import type { LedgerRpc } from '../../../drivers/ports.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { parseEvidence } from '../../../protocol/chain/evidence-json.ts'
import { lightBlockJson } from '../../../protocol/chain/rpc-json.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { must } from '../../../protocol/result.ts'
import { makeProducer } from '../../agent/validator/street.ts'
import { ledgerRpcCases } from '../../contracts/ledger-rpc.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('rpc client')
const { timers } = createSystemTime()

ledgerRpcCases(test, 'http', async validators => {
  const { producer } = makeProducer({ keep: 10 }, validators)
  const onBug = (error: unknown) => {
    throw error
  }
  const server = must(await serveHttp({ port: 0, routes: rpcRoutes(producer, timers), onBug }))
  return { producer, rpc: createRpcClient({ url: server.url }), close: () => server.close() }
})

/** No answer of these is late, however busy this machine is. */
const PATIENCE_MS = 15_000
const SOON_MS = 300

/** The fault of a call against a server of this behaviour. */
async function faultOf(
  listener: RequestListener,
  ask: (rpc: LedgerRpc) => Promise<{ ok: boolean }>,
  timeoutMs = PATIENCE_MS,
): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    const answer = await ask(createRpcClient({ url, timeoutMs, limit: 10_000 }))
    return answer.ok ? 'ok' : (answer as unknown as { fault: { code: string } }).fault.code
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

const replying =
  (body: string): RequestListener =>
  (_, response) =>
    response.end(body)
const result = (value: unknown) => replying(JSON.stringify({ jsonrpc: '2.0', id: 1, result: value }))
const status = (rpc: LedgerRpc) => rpc.status()

test('a node that is not there, hangs, floods or redirects is a fault', async () => {
  const gone = await createRpcClient({ url: 'http://127.0.0.1:1' }).status()
  assert.is(gone.ok ? '' : gone.fault.code, 'rpc.unreachable')
  assert.is(await faultOf(() => {}, status, SOON_MS), 'rpc.timeout')
  assert.is(await faultOf((_, response) => response.write('{'), status, SOON_MS), 'rpc.timeout', 'stops in the middle')
  assert.is(await faultOf(replying('x'.repeat(10_001)), status), 'rpc.too-long')
  const redirect: RequestListener = (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()
  assert.is(await faultOf(redirect, status), 'rpc.unreachable')
  assert.is(await faultOf((_, response) => response.destroy(), status), 'rpc.unreachable')
})

test('an answer that is none is a fault', async () => {
  for (const body of ['', 'not json', 'null', '[]', '7', '{}', '{"result":7}', '{"result":{}}', '\u0000']) {
    assert.is(await faultOf(replying(body), status), 'rpc.answer', body)
  }
  assert.is(await faultOf((_, response) => response.end(Buffer.of(0xff, 0xfe)), status), 'rpc.answer')
  for (const height of [7, '-1', '1e3', '', null, '9'.repeat(30)]) {
    const value = { node_info: { network: 'x' }, sync_info: { latest_block_height: height } }
    assert.is(await faultOf(result(value), status), 'rpc.answer', String(height))
  }
  assert.is(
    await faultOf(replying('{"error":{"code":-32603,"message":"Internal error","data":"no"}}'), status),
    'rpc.refused',
  )
})

test("another transaction's hash, and another height's state, are not taken", async () => {
  const submit = (rpc: LedgerRpc) => rpc.submit(utf8('tx'))
  assert.is(await faultOf(result({ code: 0, log: '', hash: '00'.repeat(32) }), submit), 'rpc.answer')
  assert.is(await faultOf(result({ code: 0.5, log: '', hash: '' }), submit), 'rpc.answer')
  const query = (rpc: LedgerRpc) => rpc.query(utf8('key'), 5n)
  const response = { code: 0, value: null, height: '5', proofOps: { ops: [{ data: 'AAAA' }] } }
  assert.is(await faultOf(result({ response }), query), 'ok')
  assert.is(await faultOf(result({ response: { ...response, height: '4' } }), query), 'rpc.answer')
  assert.is(await faultOf(result({ response: { ...response, proofOps: null } }), query), 'rpc.answer')
  assert.is(await faultOf(result({ response: { ...response, value: '*' } }), query), 'rpc.answer')
  assert.is(await faultOf(result({ response: { ...response, code: 3, log: 'no' } }), query), 'rpc.refused')
})

test('a transaction, an old header and evidence answered with something else are faults', async () => {
  const tx = (rpc: LedgerRpc) => rpc.tx(sha256(utf8('tx')))
  assert.is(await faultOf(result({}), tx), 'rpc.answer')
  assert.is(await faultOf(result({ height: '1', index: 0, tx: 'AA==', proof: { proof: {} } }), tx), 'rpc.answer')
  const absent = { code: -32603, message: 'Internal error', data: `tx (${'AB'.repeat(32)}) not found, err: %!w(<nil>)` }
  assert.is(await faultOf(replying(JSON.stringify({ error: absent })), tx), 'rpc.no-tx')
  const header = (rpc: LedgerRpc) => rpc.oldHeader(1n, 2n)
  assert.is(await faultOf(result({ header: null }), header), 'rpc.answer')
  assert.is(await faultOf(result({ header: { height: '1' } }), header), 'rpc.answer')
  const evidence = JSON.parse(
    readFileSync(new URL('../../protocol/chain/cometbft-evidence.json', import.meta.url), 'utf8'),
  ).evidence
  const report = (rpc: LedgerRpc) => rpc.reportEvidence(must(parseEvidence(evidence.lunatic.json)))
  assert.is(await faultOf(result({ hash: '' }), report), 'ok')
  assert.is(await faultOf(replying('{"error":{"code":-32603,"message":"no","data":"too old"}}'), report), 'rpc.refused')
})

test('a validator set that never ends is a fault', async () => {
  const { producer } = makeProducer()
  await producer.produce()
  const { signed_header, validators } = lightBlockJson(producer.lightBlock(1n)!)
  const serve =
    (pages: (page: number) => object): RequestListener =>
    (request, response) => {
      let body = ''
      request.on('data', chunk => {
        body += chunk
      })
      request.on('end', () => {
        const { method, params } = JSON.parse(body)
        const value = method === 'commit' ? { signed_header } : pages(Number(params.page))
        response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: value }))
      })
    }
  const block = (rpc: LedgerRpc) => rpc.lightBlock(1n)
  const page = { block_height: '1', validators, total: '4' }
  assert.is(
    await faultOf(
      serve(() => page),
      block,
    ),
    'ok',
  )
  assert.is(
    await faultOf(
      serve(n => (n === 1 ? { ...page, total: '9' } : { ...page, validators: [], total: '9' })),
      block,
    ),
    'rpc.answer',
  )
  assert.is(
    await faultOf(
      serve(() => ({ ...page, total: '10001' })),
      block,
    ),
    'rpc.answer',
  )
  assert.is(
    await faultOf(
      serve(() => ({ ...page, block_height: '2' })),
      block,
    ),
    'rpc.answer',
  )
  assert.is(
    await faultOf(
      serve(() => ({ ...page, validators: [{}] })),
      block,
    ),
    'rpc.answer',
  )
})

test('a set that was seen is not fetched again', async () => {
  const { producer } = makeProducer()
  for (let i = 0; i < 3; i++) await producer.produce()
  const routes = rpcRoutes(producer, timers)
  let calls = 0
  const server = must(
    await serveHttp({
      port: 0,
      routes: {
        'POST /': request => {
          calls++
          return routes['POST /']!(request)
        },
      },
      onBug: () => {},
    }),
  )
  const rpc = createRpcClient({ url: server.url })
  for (const height of [1n, 2n, 3n]) assert.is(must(await rpc.lightBlock(height)).validators.length, 4)
  await server.close()
  assert.is(calls, 4)
})

test.run()
