/** `tieline doctor` at nodes that disagree, at the broker of `mqtt`, and at a token. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Producer } from '../../../agent/validator/producer.ts'
import { rpcRoutes } from '../../../agent/validator/rpc.ts'
import { startBroker } from '../../../drivers/bus/broker.ts'
import { serveHttp } from '../../../drivers/http/server.ts'
import { must } from '../../../protocol/result.ts'
import { noSoftHsm, openSoftHsm, PIN, SOFTHSM_MODULE } from '../../drivers/keys/pkcs11/softhsm.ts'
import { assert, suite } from '../../harness.ts'
import { CHAIN_ID } from '../../protocol/ledger/parties.ts'
import { smallSite } from '../small-site.ts'
import { makeProducer, payment } from '../validator/street.ts'
import { runTieline } from './cli-run.ts'
import { timers } from './sdm630-sim.ts'

const test = suite('what doctor asks')

interface Finding {
  readonly what: string
  readonly verdict: string
  readonly text: string
}

async function examined(text: string, files: Readonly<Record<string, string>> = {}, first: readonly string[][] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-doctor-'))
  const config = join(folder, 'site.yaml')
  writeFileSync(config, text)
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content, { mode: 0o600 })
  try {
    for (const args of first) {
      const { exit, err } = await runTieline([...args, '--config', config])
      assert.is(exit, 0, err)
    }
    const { out, err } = await runTieline(['doctor', '--json', '--config', config])
    assert.is(err, '')
    const findings: readonly Finding[] = JSON.parse(out).findings
    return {
      out,
      of: (what: string) => findings.filter(one => one.what === what).map(({ verdict, text }) => `${verdict} ${text}`),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const SEED = `{seed: ${'12'.repeat(32)}}\nbench: true`
const site = (keys: string, primary: string, witnesses: string): string =>
  smallSite(keys)
    .replace('chain: street-1', `chain: ${CHAIN_ID}`)
    .replace('primary: http://127.0.0.1:9', `primary: ${primary}`)
    .replace('witnesses: []', `witnesses: [${witnesses}]`)

async function served(producer: Producer) {
  const onBug = (error: unknown) => {
    throw error
  }
  return must(await serveHttp({ port: 0, routes: rpcRoutes(producer, timers), onBug }))
}

test('of two nodes that serve other headers at one height one lies; one node behind two addresses is no witness', async () => {
  const [honest, forked] = [makeProducer({}).producer, makeProducer({}).producer]
  forked.submit(payment(0n))
  for (const producer of [honest, forked]) for (let n = 0; n < 3; n++) await producer.produce()
  // The height that both have is below the higher one's newest.
  await forked.produce()
  const servers = await Promise.all([served(honest), served(honest), served(forked)])
  const [one, again, other] = servers.map(({ url }) => url) as [string, string, string]
  try {
    const twins = await examined(site(SEED, one, `"${again}"`))
    assert.ok(twins.of('ledger').includes('pass one header at height 3'), twins.out)
    assert.ok(twins.of('ledger').includes(`warn ${again} says that it is the node behind ${one}`), twins.out)
    const liars = await examined(site(SEED, one, `"${other}"`))
    const two = liars.of('ledger').filter(text => text.startsWith('fail two headers at height 3: '))
    assert.is(two.length, 1, liars.out)
    assert.ok(two[0]!.includes(` of ${one}`) && two[0]!.includes(` of ${other}`))
    const relayed = await examined(site(SEED, one, '"mqtt:relay-1"'))
    assert.ok(!relayed.out.includes('no witness'), relayed.out)
  } finally {
    for (const server of servers) await server.close()
  }
}, 120_000)

test('the broker that the home is told by is tried, and no password of an address is repeated', async () => {
  const broker = must(await startBroker())
  const text = smallSite(SEED)
  const there = await examined(`${text}mqtt: {brokers: ['${broker.url}']}\n`)
  assert.ok(
    there.of('broker').some(said => said === `pass ${broker.url}`),
    there.out,
  )
  await broker.close()
  const gone = await examined(`${text}mqtt: {brokers: ['mqtt://me:secret-word@127.0.0.1:9']}\n`)
  assert.ok(
    gone.of('broker').every(said => said.startsWith('fail mqtt://127.0.0.1:9: ')),
    gone.out,
  )
  assert.is(gone.of('broker').length, 2)
  assert.not.match(gone.out, /secret-word/)
}, 120_000)

test.skipIf(
  noSoftHsm,
  'a key in a token is opened with the PIN of its file; a key that is not there is named, and the PIN is not',
  async () => {
    const hsm = openSoftHsm('grid')
    const token = (key: string) => `{pkcs11: {module: ${SOFTHSM_MODULE}, token: grid, key: ${key}, pin_file: pin}}`
    const keys = (key: string) =>
      `{account: account.key, metering: ${token(key)}, sealing: sealing.key, passphrase_file: passphrase}`
    const files = { pin: PIN, passphrase: 'a long one\n' }
    try {
      const there = await examined(smallSite(keys('metering')), files, [['key', 'init']])
      assert.equal(there.of('metering key'), ['pass metering in grid signs'])
      assert.equal(there.of('keys'), ['pass all can be opened'])
      assert.is(there.of('PIN').length, 1)
      const gone = await examined(smallSite(keys('metering-9')), files)
      assert.match(gone.of('metering key').join(), /^fail metering-9 in grid: keys\./)
      assert.ok(!`${there.out}${gone.out}`.includes(PIN))
    } finally {
      hsm.end()
    }
  },
  180_000,
)

test.run()
