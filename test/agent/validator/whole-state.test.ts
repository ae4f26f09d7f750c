/** A whole state, fetched page by page: what a page costs, and what a node that lies can make of it. */
import { fetchAudit, fetchState } from '../../../agent/validator/fetch-audit.ts'
import { rpcRoutes } from '../../../agent/validator/rpc.ts'
import { answerQuery } from '../../../agent/validator/state-query.ts'
import { type Handler, serveHttp } from '../../../drivers/http/server.ts'
import { fromUtf8, utf8 } from '../../../protocol/bytes.ts'
import { type Cbor, decode, encode } from '../../../protocol/cbor.ts'
import { fromBase64, toBase64 } from '../../../protocol/chain/base64.ts'
import { createStateTree } from '../../../protocol/chain/smt.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { makeProducer } from './street.ts'

const test = suite('whole states')

type Page = [Uint8Array, Uint8Array][]

test('each entry of a state in pages is read once, and once more where a page ends before it', () => {
  const tree = createStateTree()
  const value = new Uint8Array(1000)
  tree.commit(
    1n,
    Array.from({ length: 5000 }, (_, i) => [utf8(`key ${i}`), value]),
  )
  let read = 0
  const entries = function* (height: bigint, after?: Uint8Array) {
    for (const entry of tree.at(height)!.entries(after)) {
      read++
      yield entry
    }
  }
  const state = { entries, query: () => undefined, headerProof: () => undefined }
  const all: Page = []
  for (let pages = 0; ; pages++) {
    const data = all.at(-1)?.[0] ?? new Uint8Array(0)
    const { value } = answerQuery(state, { path: '/state', data, height: 1n, prove: false })
    const page = must(decode(value!, 1 << 21)) as Page
    if (page.length === 0) break
    assert.ok(pages < 10)
    all.push(...page)
  }
  assert.equal(all, [...tree.at(1n)!.entries()])
  assert.ok(read <= 5000 + 10, `${read} entries read for 5000`)
})

/** The audit of a node whose pages of the state are changed on the way. */
async function audited<T>(change: (page: Page) => Page, look: (url: string) => Promise<T>): Promise<T> {
  const { producer, time } = makeProducer()
  for (let i = 0; i < 3; i++) must(await producer.produce())
  const routes = rpcRoutes(producer, time.timers)
  const lying: Handler = async request => {
    const reply = await routes['POST /']!(request)
    const asked = JSON.parse(fromUtf8(request.body)!)
    if (reply.kind !== 'json' || asked.params?.path !== '/state') return reply
    const json = JSON.parse(JSON.stringify(reply.value))
    const page = must(decode(fromBase64(json.result.response.value)!, 1 << 21)) as Page
    json.result.response.value = toBase64(encode(change(page) as unknown as Cbor))
    return { ...reply, value: json }
  }
  const onBug = (error: unknown) => assert.unreachable(String(error))
  const server = must(await serveHttp({ port: 0, routes: { ...routes, 'POST /': lying }, onBug }))
  try {
    return await look(server.url)
  } finally {
    await server.close()
  }
}

const isAccount = ([key]: readonly [Uint8Array, Uint8Array]) => fromUtf8(key)!.startsWith('account/')

test('an honest node’s books add up; one that names an account twice is found out', async () => {
  const honest = await audited(page => page, fetchAudit)
  assert.equal(must(honest).problems, [])
  // The last of one key counts in the tree, so that the AppHash is right; in the sum both would.
  const twice = await audited(page => [...page.filter(isAccount), ...page], fetchAudit)
  assert.ok(!twice.ok)
  assert.is(twice.fault.code, 'audit.key-twice')
  const exported = await audited(page => [...page.filter(isAccount), ...page], fetchState)
  assert.not.ok(exported.ok)
})

test.run()
