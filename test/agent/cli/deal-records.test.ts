/**
 * The records of a deal that was traded, paid and settled by real agents with real signatures, asked for by the command and
 * verified by the other: held against OpenSSL and against hashes made here, and refused wherever a byte of them is another.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { assert, suite } from '../../harness.ts'
import { violationsOf } from '../web/schema-check.ts'
import { runTieline, type Said } from './cli-run.ts'
import { rootOf, votesThatHold } from './deal-judge.ts'
import { servedStreet } from './served-street.ts'
import { atPlace, otherDigit, textsOf } from './tampering.ts'

// biome-ignore lint/suspicious/noExplicitAny: a file of JSON, whose form is what is tested.
type Json = any

const test = suite('records of a deal')
const folder = mkdtempSync(join(tmpdir(), 'tieline-records-'))
const at = await servedStreet({ realSigner: true })
const { trust } = at.agent.config.ledger!
const TRUST = `${trust.height}:${toHex(trust.hash)}`

/** Its virtual time goes on while a question is answered: the agent asks its nodes for blocks. */
async function meanwhile<T>(answer: Promise<T>): Promise<T> {
  let done = false
  const settled = answer.finally(() => {
    done = true
  })
  while (!done) {
    await at.ports.time.advance(20)
    await new Promise(resolve => setImmediate(resolve))
  }
  return settled
}

const whole = () =>
  at.agent.trading.deals().find(({ runner }) => runner.deal().state === 'settled' && runner.peerReceipt() !== undefined)
for (let i = 0; i < 60 && whole() === undefined; i++) await at.ports.time.advance(10_000)
const deal = whole()!.runner.deal()
const id = toHex(deal.hash)
const file = join(folder, 'deal.json')
const asked = await meanwhile(at.tieline('deals', id.slice(0, 16), '--records', file))
const text = readFileSync(file, 'utf8')
const good: Json = JSON.parse(text)

/** What `tieline verify` says of a text. */
async function verdict(of: string, trusted = TRUST, ...more: string[]): Promise<Said> {
  const other = join(folder, 'other.json')
  writeFileSync(other, of)
  return runTieline(['verify', other, '--json', '--trust', trusted, ...more])
}

/** Every code that it is refused by. */
async function refusals(of: string, trusted = TRUST): Promise<readonly string[]> {
  const said = await verdict(of, trusted)
  const [{ ok, fault, broken }] = said.json()
  assert.equal([ok, said.exit], [false, EXIT.no], of.slice(0, 200))
  return fault === undefined ? broken.map(({ where, code }: Json) => `${where} ${code}`) : [fault.code]
}

const changed = (change: (records: Json) => void): string => {
  const copy = structuredClone(good)
  change(copy)
  return `${JSON.stringify(copy, null, 1)}\n`
}

test('the command writes a file that holds against the hash that the site itself trusts, with every sum', async () => {
  assert.equal([asked.exit, asked.out], [EXIT.ok, `${file}: the records of deal ${id}\n`])
  const said = await verdict(text)
  const [found] = said.json()
  assert.equal([said.exit, found.ok, found.complete, found.missing, found.broken], [EXIT.ok, true, true, [], []])
  const { begin, end, settlement } = deal
  const own = (end!.register - begin!.register) / 1000n
  const peer = BigInt(deal.role === 'seller' ? found.metered.buyerWh : found.metered.sellerWh)
  assert.is(BigInt(deal.role === 'seller' ? found.metered.sellerWh : found.metered.buyerWh), own)
  const delivered = [own, peer, deal.contract.energy as bigint].reduce((a, b) => (b < a ? b : a))
  assert.is(BigInt(found.ledger.deliveredWh), delivered)
  assert.is(BigInt(found.ledger.paidMicro), (delivered * deal.contract.price) / 1000n)
  assert.is(BigInt(found.ledger.paidMicro), settlement!.paid)
  assert.equal([found.ledger.signed, found.ledger.validators], [4, 4])
  const words = await runTieline(['verify', file, '--trust', TRUST])
  assert.match(words.out, new RegExp(`\n  deal ${id} on ${deal.contract.chainId}\n`))
  assert.match(words.out, /\n {2}ledger: settled, [\d.]+ paid for [\d.]+ kWh, [\d.]+ given back\n/)
  assert.match(words.out, /\nevery rule holds\n$/)
})

test('a file that is there is left alone, and what cannot be asked for is refused in one line', async () => {
  const again = await meanwhile(at.tieline('deals', id, '--records', file))
  assert.equal([again.exit === EXIT.ok, again.out], [false, ''])
  assert.match(again.err, /^tieline deals: nothing is written: .*file\.exists.*\n$/)
  assert.is(readFileSync(file, 'utf8'), text)
  assert.is((await at.tieline('deals', '--records', join(folder, 'x'))).exit, EXIT.usage)
  const none = await at.tieline('deals', 'ffffffffffffffff', '--records', join(folder, 'x'))
  assert.is(none.exit, EXIT.no)
})

test('the route answers what its document says, and names what it does not have', async () => {
  const document: Json = await (await fetch(`${at.url}/api/openapi.json`)).json()
  const { responses } = document.paths['/api/deals/records'].get
  const ask = (query: string) => meanwhile(fetch(`${at.url}/api/deals/records${query}`))
  const answer = await ask(`?id=${id}`)
  assert.is(answer.headers.get('content-disposition'), `attachment; filename="deal-${id.slice(0, 16)}.json"`)
  const body = (await answer.json()) as Json
  const { schema } = responses['200'].content['application/json']
  assert.equal(violationsOf(body, schema, document), [])
  assert.ok(violationsOf({ ...body, more: 1 }, schema, document).length > 0)
  for (const [query, status, code] of [
    ['', 400, 'deal.id'],
    [`?id=${id.slice(1)}`, 400, 'deal.id'],
    [`?id=${'f'.repeat(64)}`, 404, 'deal.unknown'],
  ] as const) {
    const refused = await ask(query)
    assert.equal([refused.status, ((await refused.json()) as Json).code], [status, code])
  }
})

// --- By other code than made it

test('the proof leads, by hashes made here, to the AppHash of a header whose votes OpenSSL finds signed', () => {
  const { path, record, proof } = good.ledger
  assert.is(rootOf(`deal/${id}`, record, proof), path.at(-1).signed_header.header.app_hash)
  for (const block of path) assert.is(votesThatHold(block), 4)
  assert.is(good.deal, createHash('sha256').update(Buffer.from(good.contract, 'hex')).digest('hex'))
})

// --- What must not pass

/** By what a change of each part is refused; the file's own form may come first. */
const REFUSED_BY: readonly (readonly [RegExp, RegExp])[] = [
  [/^\/tieline/, /^chain\.json$/],
  [/^\/(deal|contract)$/, /^records\.other-deal$/],
  [/^\/(seller|buyer)\/(key|signature)$/, /(seller|buyer)\.signature (contract|cose|cbor|record)\./],
  [/^\/(seller|buyer)\/(begin|end)\//, /^(seller|buyer)\.(begin|end) (cose|cbor|record|reading|records)\./],
  [/^\/ledger\/path\//, /^(ledger\.path\[\d\] (light|chain)\.|chain\.json$|records\.form$)/],
  [/^\/ledger\/(record|proof)$/, /^ledger\.(proof|record) /],
  [/^\/missing/, /./],
]

test('in every part of the file another digit at its begin, middle or end is refused, by the name of that part', async () => {
  let tried = 0
  for (const [place, value] of textsOf(good)) {
    const by = REFUSED_BY.find(([part]) => part.test(place))?.[1]
    assert.ok(by !== undefined, place)
    if (value === '') continue
    for (const i of new Set([0, value.length >> 1, value.length - 1])) {
      const other = otherDigit(value, i)
      if (other === value || /[=:.TZ-]/.test(value[i]!)) continue
      const said = await refusals(changed(records => atPlace(records, place, () => other)))
      assert.ok(
        said.some(line => by.test(line)),
        `${place} ${i}: ${said.join()}`,
      )
      tried++
    }
  }
  assert.ok(tried > 150, `${tried}`)
})

test('whatever stands in the file: another byte at every 89th place is refused', async () => {
  for (let i = 0; i < text.length; i += 89) {
    const other = text.slice(0, i) + (text[i] === ' ' ? '\t' : text[i] === '0' ? '1' : '0') + text.slice(i + 1)
    assert.ok((await refusals(other)).length > 0, `${i}`)
  }
})

test('what is added, left out, put in other words or in another order is refused', async () => {
  for (const [wrong, code] of [
    [
      changed(records => {
        records.more = 1
      }),
      'records.form',
    ],
    [
      changed(records => {
        records.ledger.path[0].validators[0].proposer_priority = '5'
      }),
      'records.form',
    ],
    [
      changed(records => {
        records.contract = records.contract.toUpperCase()
      }),
      'records.form',
    ],
    [JSON.stringify(good), 'records.form'],
    [text.trimEnd(), 'records.form'],
    [text.replace('"missing": []', '"missing": [],\n "missing": []'), 'records.form'],
    [text.slice(0, -10), 'records.not-json'],
    [
      changed(records => {
        delete records.ledger
      }),
      'missing records.missing',
    ],
    [
      changed(records => {
        delete records.buyer.begin
        delete records.buyer.end
      }),
      'missing records.missing',
    ],
    [
      changed(records => {
        records.missing.push({ piece: 'ledger', why: 'not-proven' })
      }),
      'missing records.missing',
    ],
    [
      changed(records => {
        records.ledger.path = []
      }),
      'chain.json',
    ],
    [
      changed(records => {
        records.ledger.path.reverse()
      }),
      'ledger.path[1] light.height',
    ],
  ] as const) {
    assert.equal(await refusals(wrong), [code])
  }
})

test('true pieces in wrong places are refused: receipts of the other side, begin for end, a vote of another validator', async () => {
  const swap = (a: Json, b: Json, ...names: string[]) => {
    for (const name of names) [a[name], b[name]] = [b[name], a[name]]
  }
  for (const [wrong, code] of [
    [changed(({ seller, buyer }) => swap(seller, buyer, 'begin', 'end')), 'seller.begin records.other-meter'],
    [changed(({ seller, buyer }) => swap(seller, buyer, 'signature')), 'seller.signature'],
    [changed(({ seller, buyer }) => swap(seller, buyer, 'key', 'signature')), 'seller.signature contract.key'],
    [changed(({ seller: { begin, end } }) => swap(begin, end, 'envelope')), 'seller.receipt receipt.order'],
    [
      changed(({ seller }) => {
        seller.end = seller.begin
      }),
      'seller.receipt receipt.order',
    ],
    [
      changed(({ ledger }) => {
        const [a, b] = ledger.path.at(-1).signed_header.commit.signatures
        swap(a, b, 'signature')
      }),
      'ledger.path[1] light.signature',
    ],
  ] as const) {
    const said = await refusals(wrong)
    assert.ok(
      said.some(line => line.startsWith(code)),
      `${said.join()} for ${code}`,
    )
  }
})

test('votes of half of the validators prove nothing', async () => {
  const absent = { block_id_flag: 1, validator_address: '', timestamp: '0001-01-01T00:00:00Z', signature: null }
  const without = (count: number) =>
    changed(({ ledger }) => ledger.path.at(-1).signed_header.commit.signatures.fill(absent, 0, count))
  assert.equal(await refusals(without(2)), ['ledger.path[1] light.power'])
  // Of three the power is more than two thirds.
  assert.is((await verdict(without(1))).exit, EXIT.ok)
})

test('the block that is trusted decides: without one, with another hash or of another height nothing is said to hold', async () => {
  const unasked = await runTieline(['verify', file, '--json'])
  assert.equal([unasked.exit, unasked.json()[0].fault.code], [EXIT.no, 'verify.trust-needed'])
  assert.equal(await refusals(text, `${trust.height}:${'ab'.repeat(32)}`), ['ledger.path[0] light.anchor'])
  assert.equal(await refusals(text, `999999:${toHex(trust.hash)}`), ['ledger.path records.trust-elsewhere'])
  const { header, commit } = good.ledger.path.at(-1).signed_header
  const last = await verdict(text, `${header.height}:${commit.block_id.hash}`)
  assert.is(last.exit, EXIT.ok)
  assert.is(last.json()[0].ledger.trustedHeight, header.height)
  assert.equal(await refusals(text, `${header.height}:${'ab'.repeat(32)}`), ['ledger.path[1] light.anchor'])
  assert.is((await runTieline(['verify', file, '--trust', 'latest'])).exit, EXIT.usage)
  // Of the last block alone the same is proven to whoever knows its hash, and nothing to whoever does not.
  const alone = changed(({ ledger }) => ledger.path.shift())
  assert.is((await verdict(alone, `${header.height}:${commit.block_id.hash}`)).exit, EXIT.ok)
  assert.equal(await refusals(alone), ['ledger.path records.trust-elsewhere'])
})

test('a block that is trusted and long past is said to be, because its validators may have left', async () => {
  // The street's virtual time is half a year back or ahead of this machine's: only the past is noted.
  const age = Date.now() - Date.parse(good.ledger.path[0].signed_header.header.time)
  const [{ notes }] = (await verdict(text)).json()
  const noted = notes.some((note: string) => /^the trusted block is \d+ d old/.test(note))
  assert.is(noted, age > 14 * 86_400_000)
})

test('named keys are those that may have signed: one that is left out makes the file refused', async () => {
  const [{ signers }] = (await verdict(text)).json()
  const named = signers.flatMap(({ key }: Json) => ['--key', key])
  const all = await verdict(text, TRUST, ...named)
  assert.equal(
    [all.exit, all.json()[0].signers.map(({ expected }: Json) => expected)],
    [EXIT.ok, [true, true, true, true]],
  )
  const three = await verdict(text, TRUST, ...named.slice(2))
  const [{ broken }] = three.json()
  assert.equal(
    broken.map(({ where, code }: Json) => [where, code]),
    [["seller's account", 'audit.unexpected-key']],
  )
  assert.is(three.exit, EXIT.no)
})

test('the street ends in order', async () => {
  rmSync(folder, { recursive: true })
  await at.close()
})

test.run()
