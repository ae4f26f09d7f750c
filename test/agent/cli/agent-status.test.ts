/** `tieline deals`, `wallet` and `light` of a site of a street at work, over the real server, held against the ledger itself. */
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { assert, suite } from '../../harness.ts'
import { violationsOf } from '../web/schema-check.ts'
import { runTieline } from './cli-run.ts'
import { servedStreet } from './served-street.ts'

const test = suite('commands that ask the agent')

// Before the tests, because virtual minutes take what the machine leaves them.
const at = await servedStreet()

test('deals, wallet and light say what the ledger holds, in words and as JSON', async () => {
  const { tieline, agent, ports } = at
  const [{ ok, site, deals }] = (await tieline('deals', '--json')).json()
  assert.equal([ok, site], [true, at.site])
  assert.is(deals.length, agent.trading.deals().length)
  const settled = deals.find(({ state }: { state: string }) => state === 'settled')
  assert.ok(settled !== undefined, 'no deal was settled')
  assert.is(settled.proof.of, 'settlement')
  assert.is(settled.model, 'direct line')
  // Both readings are the meter's own counter: what was delivered lies between them.
  const { begin, end } = settled.receipts
  const counted = BigInt(end.registerMwh) - BigInt(begin.registerMwh)
  assert.ok(counted >= BigInt(settled.deliveredWh) * 1000n, `${counted} and ${settled.deliveredWh}`)
  const text = await tieline('deals')
  assert.is(text.exit, EXIT.ok)
  assert.match(text.out, new RegExp(`^${settled.id.slice(0, 8)}  settled  `, 'm'))
  assert.match(text.out, /^ {2}settlement, proven at height \d+ by [34] of 4 validators$/m)
  const one = await tieline('deals', settled.id.slice(0, 12))
  assert.match(one.out, new RegExp(`^${settled.id}  settled  `))
  assert.match(one.out, /\n {2}begin reading signed: [\d.]+ kWh\n {2}end reading signed: [\d.]+ kWh\n/)
  const none = await tieline('deals', 'ffffffffffff')
  assert.equal([none.exit, none.out], [EXIT.no, ''])
  assert.is((await tieline('deals', 'not-an-id')).exit, EXIT.usage)

  await tieline('wallet')
  await ports.time.advance(5_000)
  const [wallet] = (await tieline('wallet', '--json')).json()
  assert.is(wallet.account, toHex(agent.account.address))
  assert.is(wallet.balanceMicro, agent.account.newest()!.balance.toString())
  assert.ok(BigInt(wallet.proven.headerHeight) === BigInt(wallet.proven.height) + 1n)
  assert.match(
    (await tieline('wallet')).out,
    /\nbalance {3}\d+(\.\d+)?, proven at height \d+ by [34] of 4 validators, /,
  )

  const [light] = (await tieline('light', '--json')).json()
  assert.equal([light.ok, light.state, light.chain], [true, 'ok', agent.config.ledger?.chain])
  assert.is(light.trust.hash.length, 64)
  assert.ok(light.sources.some(({ role }: { role: string }) => role === 'primary'))
  const witness = light.sources.find(({ role }: { role: string }) => role === 'witness')
  assert.is(witness.said.what, 'agrees')
  assert.ok(light.head.ageMs >= 0 && light.head.ageMs < 15_000, `${light.head.ageMs}`)
  const said = await tieline('light')
  assert.is(said.exit, EXIT.ok)
  assert.match(said.out, /\nhead {6}\d+, \d+ s old, checked [34] of 4 validators, confirmed by a witness\n/)
})

test('status says all of it on one screen, and with its exit code whether it is well', async () => {
  const { tieline, agent } = at
  const said = await tieline('status')
  assert.match(said.out, new RegExp(`^${at.site} (is well|needs an eye): tieline \\d+\\.\\d+\\.\\d+, boot 1, since `))
  for (const name of Object.keys(agent.config.meters)) assert.match(said.out, new RegExp(`\n  ${name} \\(.*old\n`))
  assert.match(said.out, /\n {2}L1\.line: commanded (open|closed), seen (open|closed)/)
  assert.match(
    said.out,
    /\nledger {4}\S+: ok, height \d+, \d+ s old\nbrokers {3}reached\nwallet {4}[\d.]+, and [\d.]+ locked\n/,
  )
  const [json] = (await tieline('status', '--json')).json()
  assert.is(json.ok, said.exit === EXIT.ok)
  assert.is(json.ok, agent.health.items().length === 0, said.out)
  agent.health.set('test.fault', { code: 'test.fault' })
  const ill = await tieline('status')
  assert.equal([ill.exit, /\n {2}warning {2}test\.fault: test\.fault, for 0 s\n/.test(ill.out)], [EXIT.no, true])
  agent.health.set('test.fault', undefined)
})

test('what the API answers is what its document says', async () => {
  // biome-ignore lint/suspicious/noExplicitAny: the document is what is tested.
  const document: any = await (await fetch(`${at.url}/api/openapi.json`)).json()
  for (const path of ['/api/status', '/api/deals', '/api/wallet', '/api/light']) {
    const answer = (await (await fetch(at.url + path)).json()) as Record<string, unknown>
    const { schema } = document.paths[path].get.responses['200'].content['application/json']
    assert.equal(violationsOf(answer, schema, document), [], path)
    assert.ok(violationsOf({ ...answer, more: 1 }, schema, document).length > 0)
  }
})

test('where no agent answers, each says so in one line that says what to do, and exits with 69', async () => {
  const file = at.config('nobody')
  for (const command of ['status', 'deals', 'wallet', 'light']) {
    const other = await runTieline([command, '--config', file])
    assert.equal([other.exit, other.out], [EXIT.unavailable, ''])
    assert.match(
      other.err,
      new RegExp(`^tieline ${command}: the agent at [\\d.:]+ is that of ${at.site}, not of nobody\n$`),
    )
  }
  const silent = await runTieline(['status', '--json', '--config', at.config('silent', 9)])
  assert.is(silent.exit, EXIT.unavailable)
  assert.is(silent.json()[0].fault.code, 'agent.no-answer')
})

test('the street ends in order', () => at.close())

test.run()
