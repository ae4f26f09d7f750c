/** Whether it can be told whose coin it is: by its bytes, by nobody; by how much and when, only of those who take as they need. */
import { blindMessage, createBlindIssuer } from '../../../drivers/crypto/blind-rsa.ts'
import { type Funding, fundedByHomes } from '../../../hw/sim/coin-homes.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { equalBytes, toHex } from '../../../protocol/bytes.ts'
import { isBlindSignature, verifyPss } from '../../../protocol/crypto/rsa-pss.ts'
import { COIN_LIFE_MS, coinMessage, DENOMINATIONS, EPOCH_MS, epochAt } from '../../../protocol/privacy/coins.ts'
import { LINKERS, measureLinkage } from '../../../protocol/privacy/linkage.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('linkage of coins')

const HOMES = 40

/** Each adversary's share above chance. */
async function advantages(funding: Funding): Promise<ReadonlyMap<string, number>> {
  const { left, came, escrows } = await fundedByHomes(HOMES, funding, 5)
  assert.equal([left.length, came.length, escrows], [HOMES, HOMES, HOMES])
  return new Map(
    Object.entries(LINKERS).map(([name, linker]) => {
      const { orders, advantage } = measureLinkage([left, came], linker, seededRandom(3))
      assert.is(orders, HOMES)
      return [name, advantage]
    }),
  )
}

test('accounts funded from a stock of coins that all refill alike are nobody’s: no adversary does better than chance', async () => {
  // One link in forty is chance; three are within two deviations of it.
  for (const [name, advantage] of await advantages('stock')) {
    assert.ok(Math.abs(advantage) <= 2 / HOMES + 1e-9, `${name}: ${advantage}`)
  }
}, 120_000)

test('with the defence off, funded from named accounts, every adversary links every one', async () => {
  for (const [name, advantage] of await advantages('named')) assert.is(advantage, 1 - 1 / HOMES, name)
})

test('coins taken as they are needed hide nobody: the hour and the sum tell', async () => {
  const all = await advantages('as needed')
  assert.ok(Math.max(...all.values()) > 0.5, JSON.stringify([...all]))
}, 120_000)

const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes)}`)

/** The inverse modulo n, by Euclid. */
function inverse(a: bigint, n: bigint): bigint {
  let [r, next, s, t] = [n, a % n, 0n, 1n]
  while (next > 0n) [r, next, s, t] = [next, r % next, t, s - (r / next) * t]
  return ((s % n) + n) % n
}

function power(base: bigint, exponent: bigint, n: bigint): bigint {
  let result = 1n
  for (let e = exponent, b = base % n; e > 0n; e >>= 1n, b = (b * b) % n) if (e & 1n) result = (result * b) % n
  return result
}

test('to the mint each withdrawal could have been each coin: for every pair there is a factor that blinds the one into the other', async () => {
  const issuer = await createBlindIssuer()
  const n = numberOf(issuer.modulus)
  const pairs = await Promise.all(
    Array.from({ length: 4 }, async (_, i) => {
      const message = coinMessage('c', {
        epoch: instant(0),
        denomination: DENOMINATIONS[0]!,
        key: new Uint8Array(32).fill(i),
      })
      const blind = must(await blindMessage(issuer.modulus, message))
      const answer = must(await issuer.sign(blind.blinded))
      const signature = must(await blind.unblind(answer))
      assert.ok(isBlindSignature(issuer.modulus, blind.blinded, answer))
      assert.ok(verifyPss(issuer.modulus, message, signature))
      return { blinded: blind.blinded, answer, signature }
    }),
  )
  for (const { blinded, answer } of pairs) {
    for (const { signature } of pairs) {
      const factor = (numberOf(answer) * inverse(numberOf(signature), n)) % n
      const encoded = power(numberOf(signature), 65_537n, n)
      assert.is((encoded * power(factor, 65_537n, n)) % n, numberOf(blinded))
      // Unblinded, the mint would find its own answer again.
      assert.not.ok(equalBytes(answer, signature))
    }
  }
})

test('a coin’s message is of its ledger, size, epoch and key alone, and epochs are whole weeks', () => {
  const name = { epoch: instant(0), denomination: DENOMINATIONS[0]!, key: new Uint8Array(32) }
  const all = [
    coinMessage('a', name),
    coinMessage('b', name),
    coinMessage('a', { ...name, epoch: instant(1) }),
    coinMessage('a', { ...name, denomination: DENOMINATIONS[1]! }),
    coinMessage('a', { ...name, key: new Uint8Array(32).fill(1) }),
  ]
  assert.is(new Set(all.map(toHex)).size, all.length)
  assert.is(epochAt(instant(EPOCH_MS - 1)), 0)
  assert.is(epochAt(instant(EPOCH_MS)), EPOCH_MS)
  assert.is(COIN_LIFE_MS, 14 * 86_400_000)
})

test.run()
