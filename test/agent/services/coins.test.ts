/** A mint and a purse in full agents, by their configuration: coins of a real ledger, over the death of both. */

import { FEE } from '../../../agent/trading/account.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import type { District, DistrictSite } from '../../../hw/scenario/district.ts'
import { openDistrict } from '../../../hw/scenario/run-district.ts'
import { constantProfile } from '../../../hw/sim/profile.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { addressOf, sha256 } from '../../../protocol/crypto/hash.ts'
import { ACCOUNTS } from '../../../protocol/ledger/tables.ts'
import { micros, milliwatts } from '../../../protocol/quantity.ts'
import { decodeAs } from '../../../protocol/record.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('coins of full agents')

const W = (watts: number) => constantProfile(milliwatts(watts * 1000))
const MINUTE = 60_000
const site = (name: string, sections: Record<string, unknown>): DistrictSite => ({
  ...{ name, role: 'household', node: 'elm', profile: { load: W(300), generation: W(0) }, sections },
})
const district: District = {
  slotMs: 15 * MINUTE,
  feeders: [],
  sites: [
    site('clerk', { mint: 'true' }),
    // A hundred coins within a day: one in a quarter of an hour.
    site('ash', { purse: { mint: 'clerk', stock: { 0.01: 20, 0.1: 20, 1: 20, 10: 1 } } }),
  ],
}
const PACE = { pace: { gridEveryMs: 60_000, followMs: 30_000 }, blockMs: 30_000 }

test('a purse takes coins of its mint, both die and go on, and a one-time account is opened with what is at hand', async () => {
  const run = await openDistrict(district, { seed: 5, realSigner: true, ...PACE })
  const { ledgers } = run
  const purse = () => run.agent('ash').parts.purse!
  /** Virtual time, with real time for the threads that work on RSA. */
  const pass = async (minutes: number, enough: () => boolean) => {
    for (let left = 2 * minutes; left > 0 && !enough(); left--) {
      await run.advance(30_000)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    const raised = ['ash', 'clerk'].flatMap(name =>
      run
        .agent(name)
        .health.items()
        .map(item => item.fault.code),
    )
    assert.ok(enough(), `raised: ${raised.join(', ')}`)
  }
  const restart = async (name: string) => {
    run.ports.sites.get(name)!.crash('now', () => run.running.forget(name))
    must(await awaited(run.ports.time, run.running.start(name)))
  }
  await pass(180, () => purse().held().length > 0)
  // Until that is durable; a coin whose answer is lost in the crash would be unblinded again.
  await run.advance(MINUTE)
  const before = [...purse().held()]
  await restart('ash')
  assert.equal([...purse().held()], before)
  await restart('clerk')
  await pass(180, () => purse().held().length > before.length)

  const oneTime = createSigner(sha256(utf8('one deal')))
  // Its coin pays a fee, and so does the deposit.
  const needed = micros(purse().held().at(-1)! - 2n * FEE)
  must(await awaited(run.ports.time, purse().fund(oneTime, needed), 10 * MINUTE))
  await pass(10, () => balance() !== undefined)
  assert.is(balance(), needed)
  assert.equal(ledgers.energy.audit().problems, [])
  await run.stop()

  function balance(): bigint | undefined {
    const { energy } = ledgers
    const key = utf8(ACCOUNTS.prefix + toHex(addressOf(oneTime.publicKey)))
    const value = energy.query(key, energy.status().height)?.value
    return value && must(decodeAs(ACCOUNTS.codec, value, 'account', 256)).balance
  }
}, 180_000)

test.run()
