/** Keys that certify one-time keys: for everybody the same, ahead of the slot, never changed, forgotten. */
import { toHex } from '../../../protocol/bytes.ts'
import { createApp, resumeApp } from '../../../protocol/ledger/app.ts'
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import { ISSUER_KEYS, issuerKeyId } from '../../../protocol/ledger/tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { encodeAs } from '../../../protocol/record.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, Bench, buyer, genesis, nameOf, seller } from './parties.ts'
import { refused, unseen } from './refusals.ts'

const test = suite('issuer keys')

const SLOT = instant(BEGIN + 900_000)
const modulusOf = (seed: number, length = 256): Uint8Array => {
  const modulus = new Uint8Array(length).fill(seed)
  modulus[0] = 0xc1
  modulus[length - 1] = 0x0d
  return modulus
}
const key = (seed = 1, change: Partial<(TxContent & { kind: 'issuerKey' })['body']> = {}): TxContent => ({
  kind: 'issuerKey',
  body: { slot: SLOT, side: 'bid', modulus: modulusOf(seed), ...change },
})
const withRegistrars = () =>
  new Bench({
    ...genesis,
    roles: [seller, buyer].map(({ address }) => ({ role: 'registrar' as const, holder: address })),
  })
const published = (bench: Bench, side: 'bid' | 'offer' = 'bid') =>
  bench.record(ISSUER_KEYS, issuerKeyId(SLOT, side))?.modulus[1]

test('a slot and side has one key, whoever asks for another, and its two sides have their own', () => {
  const bench = withRegistrars()
  assert.is(nameOf(bench.send(seller, key(1))), 'taken')
  assert.is(nameOf(bench.send(seller, key(2, { side: 'offer' }))), 'taken')
  refused(bench, 'ledger.issuer-key-taken', seller, key(3))
  refused(bench, 'ledger.issuer-key-taken', seller, key(1))
  refused(bench, 'ledger.issuer-key-taken', buyer, key(3))
  assert.equal([published(bench), published(bench, 'offer')], [1, 2])
  assert.equal(auditLedger(bench.app.entries(bench.app.height)!).problems, [])
})

test('a key comes ahead of its slot, within eight days, as a modulus that can be one', () => {
  const bench = withRegistrars()
  refused(bench, 'ledger.window-begun', seller, key(1, { slot: instant(bench.time + 1000) }))
  refused(bench, 'ledger.window-far', seller, key(1, { slot: instant(bench.time + 8 * 86_400_000 + 1001) }))
  refused(bench, 'ledger.issuer-key', seller, key(1, { modulus: modulusOf(1).fill(2, 255) }))
  refused(bench, 'ledger.issuer-key', seller, key(1, { modulus: modulusOf(1).fill(0x7f, 0, 1) }))
  refused(bench, 'ledger.issuer-key', seller, key(1, { modulus: modulusOf(1, 300) }))
  refused(bench, 'ledger.malformed', seller, key(1, { modulus: modulusOf(1, 255) }))
  refused(new Bench(), 'ledger.role-only', seller, key())
  assert.is(nameOf(bench.send(seller, key(1, { modulus: modulusOf(1, 384) }))), 'taken')
})

test('a key is forgotten after its slot, by a ledger that was saved and resumed as well', () => {
  const bench = withRegistrars()
  bench.send(seller, key())
  const resumed = must(
    resumeApp({
      entries: bench.app.entries(bench.app.height)!,
      headerHashes: bench.app.headerHashes(bench.app.height)!,
    }),
  )
  bench.block([], SLOT + 899_999 - bench.time)
  assert.is(published(bench), 1)
  resumed.finalizeBlock(bench.executed.at(-1)!.input)
  resumed.commit()
  bench.block([], 1)
  assert.is(published(bench), undefined)
  resumed.finalizeBlock(bench.executed.at(-1)!.input)
  resumed.commit()
  assert.is(toHex(resumed.appHash), toHex(bench.app.appHash))
  const replayed = createApp(bench.genesis)
  for (const { input } of bench.executed) {
    replayed.finalizeBlock(input)
    replayed.commit()
  }
  assert.is(toHex(replayed.appHash), toHex(bench.app.appHash))
})

test('the audit names a key that is kept beyond its slot, or under the name of another one', () => {
  const bench = withRegistrars()
  bench.send(seller, key())
  const put = (id: string, kept: number) => {
    const record = { registrar: seller.address, modulus: modulusOf(1), kept: instant(kept) }
    const entry = [Buffer.from(ISSUER_KEYS.prefix + id), encodeAs(ISSUER_KEYS.codec, record)] as const
    return auditLedger([...bench.app.entries(bench.app.height)!, entry]).problems.map(({ code }) => code)
  }
  assert.equal(put(`${BEGIN - 900_000}/bid`, BEGIN), ['audit.issuer-key'])
  assert.equal(put(`${SLOT}/offer`, SLOT + 900_001), ['audit.issuer-key'])
  assert.equal(put(`${SLOT}/offer`, SLOT + 900_000), [])
})

test('both refusals were seen', () => {
  assert.equal(unseen(160, 161), [])
})

test.run()
