/** What `tieline run` says to a user whose board was offline for weeks, and that doing what it says is enough. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from '../../agent/cli/exit-codes.ts'
import { tieline } from '../../agent/cli/tieline.ts'
import { rpcRoutes } from '../../agent/validator/rpc.ts'
import { startBroker } from '../../drivers/bus/broker.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { serveHttp } from '../../drivers/http/server.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { toHex } from '../../protocol/bytes.ts'
import { hashHeader } from '../../protocol/chain/header.ts'
import type { Genesis } from '../../protocol/ledger/genesis.ts'
import { micros } from '../../protocol/quantity.ts'
import { must } from '../../protocol/result.ts'
import type { Instant } from '../../protocol/time.ts'
import { assert, suite } from '../harness.ts'
import { CHAIN_ID, genesis, operator } from '../protocol/ledger/parties.ts'
import { makeProducer, signers } from './validator/street.ts'

const test = suite('cli and a ledger that has gone on')

/** A ledger whose validators have their stake back after a day, long before an agent's trust in a header ends. */
const staked = (time: Instant): Genesis => ({
  ...{ ...genesis, time },
  validators: signers.map(({ publicKey }) => ({ publicKey, owner: operator.address, stake: micros(1_000_000n) })),
  staking: { unit: micros(1_000_000n), unbondingMs: 86_400_000, slashPermille: 50, most: 4 },
})

const WEEKS_MS = 21 * 86_400_000

test('after weeks offline it says in one line what to set and where, and with that it runs', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-cli-ledger-'))
  const { clock, timers } = createSystemTime()
  const then = createSimTime(clock.now() - WEEKS_MS, async () => {})
  const { producer } = makeProducer({ keep: 10, clock: then.clock, genesis: staked(then.clock.now()) })
  await producer.produce()
  await then.advance(WEEKS_MS - 1_000)
  // A block's time is that of the votes for the one before.
  for (let i = 0; i < 2; i++) await producer.produce()
  const onBug = (error: unknown) => {
    throw error
  }
  const serve = async () =>
    must(await serveHttp({ host: '127.0.0.1', port: 0, routes: rpcRoutes(producer, timers), onBug }))
  const [served, witness] = [await serve(), await serve()]
  const broker = must(await startBroker())
  const hashOf = (height: bigint) => toHex(hashHeader(producer.lightBlock(height)!.header))
  const site = (height: bigint) => `version: 1
site: maple
role: household
data: data
keys: {account: account.key, metering: metering.key, sealing: sealing.key}
ledger:
  chain: ${CHAIN_ID}
  trust: {height: ${height}, hash: ${hashOf(height)}}
  primary: ${served.url}
  witnesses: [${witness.url}]
brokers: [${broker.url}]
lines: {lan: {tcp: 127.0.0.1:9}}
meters: {grid: {line: lan, protocol: modbus-tcp, page: shelly-pro-3em, unit: 1}}
trade: {slot: 60s, energy: 1kWh}
page: {off: true}
`
  const file = join(folder, 'site.yaml')
  async function run(command: string, height: bigint, ...until: readonly RegExp[]) {
    writeFileSync(file, site(height))
    let err = ''
    let interrupt = () => {}
    const interrupted = new Promise<void>(resolve => {
      interrupt = resolve
    })
    const hear = (text: string) => {
      err += text
      if (until.length > 0 && until.every(said => said.test(err))) interrupt()
    }
    const terminal = { out: () => {}, err: hear, colour: false, env: {}, ask: async () => 'a long one' }
    const late = timers.after(60_000, interrupt)
    const exit = await tieline([...command.split(' '), '--config', file], terminal, () => interrupted)
    late()
    return { exit, err }
  }
  try {
    await run('key init', 1n)
    const expired = await run('run', 1n, /maple runs/, /nothing of .* is believed yet/)
    assert.is(expired.exit, EXIT.ok, 'the meters are read and signed all the same')
    const said = expired.err.split('\n').filter(line => line.includes('ledger.trust.'))
    assert.is(said[0]?.startsWith('warn  light '), true, expired.err)
    for (const word of ['light.expired', 'ledger.trust.height', 'ledger.trust.hash', 'in the configuration', '/commit'])
      assert.ok(said[0]?.includes(word), word)
    assert.match(
      expired.err,
      new RegExp(`^error light {5}nothing of ${CHAIN_ID} is believed yet: light\\.expired$`, 'm'),
    )
    const anew = await run('run', 3n, /light\.rules is raised/)
    assert.match(anew.err, /trust begins at height 3$/m)
    assert.not.match(anew.err, /light\.expired/)
    assert.match(anew.err, /light\.trusting-period.*unbondingMs=86400000/, 'the rules are proven, and compared')
    // What was kept meanwhile is not older than the configuration: the old anchor does not come back.
    assert.match((await run('run', 1n, /maple runs/, /trust begins/)).err, /trust begins at height 3$/m)
  } finally {
    // Else a test that fails would not end.
    await broker.close()
    await served.close()
    await witness.close()
    rmSync(folder, { recursive: true, force: true })
  }
}, 300_000)

test.run()
