/** One-time keys from the registrar's key on the ledger to a certified order: a ledger, its light clients, and letters. */
import type { SiteConfig } from '../../../agent/config/site-config.ts'
import type { Part } from '../../../agent/roles/part.ts'
import { createPseudonyms } from '../../../agent/roles/pseudonyms.ts'
import { createRegistrar, type Issuer } from '../../../agent/roles/registrar.ts'
import { createBlindIssuer } from '../../../drivers/crypto/blind-rsa.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { createPssVerifier } from '../../../drivers/crypto/pss-verifier.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { equalBytes, toHex } from '../../../protocol/bytes.ts'
import { ISSUER_KEYS, issuerKeyId } from '../../../protocol/ledger/tables.ts'
import type { CertifiedSide } from '../../../protocol/privacy/certificate.ts'
import type { Fault } from '../../../protocol/result.ts'
import { must } from '../../../protocol/result.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, buyer, genesis, partyOf, seller, stranger } from '../../protocol/ledger/parties.ts'
import { countedRsa, threadsRest } from './counted-rsa.ts'
import { makeVillage } from './village.ts'

const test = suite('registrar and one-time keys')

const SLOT_MS = 900_000
const slotOf = (number: number): Instant => instant(BEGIN + number * SLOT_MS)
const FIRST = slotOf(1)
const [office, regulator] = [stranger, partyOf('regulator')]
const opened = { publicKey: regulator.publicKey, balance: genesis.accounts[0]!.balance }
const registered = {
  ...genesis,
  accounts: [...genesis.accounts, opened],
  meters: genesis.meters.map(meter => ({ ...meter, feeder: 'street' })),
  roles: [
    { role: 'registrar' as const, holder: office.address },
    { role: 'regulator' as const, holder: regulator.address },
  ],
}
const verifyPss = createPssVerifier()

/** Made beforehand: a key takes as long as virtual minutes do. */
const issuers = await Promise.all(Array.from({ length: 6 }, createBlindIssuer))

async function makeOffice(change: (issuer: Issuer) => Issuer = issuer => issuer) {
  let made = 0
  const createIssuer = async () => change(issuers[made++ % issuers.length]!)

  const people = { ada: seller, bob: buyer, office, regulator }
  const village = await makeVillage(registered, people)
  const { clock, timers } = village
  const health = new Map<string, Fault>()
  const note = (what: string, fault: Fault | undefined) =>
    void (fault === undefined ? health.delete(what) : health.set(what, fault))
  const peers = Object.fromEntries(
    Object.entries(people).map(([name, { publicKey }]) => [name, { account: publicKey }]),
  )
  const config = { peers } as unknown as SiteConfig
  const openRegistrar = () => {
    const clerk = village.of('office')
    const settings = { slotMs: SLOT_MS, ahead: 1 }
    const part = createRegistrar({
      ...clerk,
      config,
      clock,
      timers,
      log: clerk.say,
      health: note,
      settings,
      createIssuer,
    })
    village.run('office', part)
    return part
  }
  const openSite = (name: 'ada' | 'bob', meterId = name === 'ada' ? 'S-1' : 'B-1') => {
    const villager = village.of(name)
    const part = createPseudonyms({
      ...{ ...villager, clock, timers, log: villager.say, health: note, entropy: systemEntropy, slotMs: SLOT_MS },
      ...{ registrar: 'office', ownMeter: () => meterId, createSigner, verifyPss, ...countedRsa },
    })
    village.run(name, part)
    return part
  }
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 5000) {
      await village.time.advance(5000)
      await threadsRest()
    }
  }
  const end = async (...parts: readonly Part[]) => {
    for (const part of parts) part.stop()
    // Questions to the ledger that are under way come to their end.
    await pass(5000)
    await village.stop()
  }
  return { village, health, openRegistrar, openSite, pass, end }
}

const both = (part: ReturnType<Awaited<ReturnType<typeof makeOffice>>['openSite']>, slot = FIRST) =>
  (['bid', 'offer'] as const).map(side => part.keyOf(slot, side) !== undefined)

test('each site has a certified key of its own for both sides of the next slot, which every other site takes', async () => {
  const { health, openRegistrar, openSite, pass, end } = await makeOffice()
  const registrar = openRegistrar()
  const [ada, bob] = [openSite('ada'), openSite('bob')]
  await pass(300_000)
  assert.equal(
    [both(ada), both(bob)],
    [
      [true, true],
      [true, true],
    ],
  )
  const key = ada.keyOf(FIRST, 'offer')!
  const certified = { slot: FIRST, side: 'offer' as CertifiedSide, pseudonym: key.signer.publicKey }
  const judge = (change: Partial<typeof certified> = {}, certificate: Uint8Array | undefined = key.certificate) => {
    const judged = bob.judge({ ...certified, ...change }, certificate)
    return judged.ok ? 'taken' : judged.fault.code
  }
  assert.is(judge(), 'taken')
  assert.is(judge({ side: 'bid' }), 'certificate.signature')
  assert.is(judge({ slot: slotOf(2) }), 'certificate.no-key')
  assert.is(judge({ pseudonym: bob.keyOf(FIRST, 'offer')!.signer.publicKey }), 'certificate.signature')
  const none = bob.judge(certified, undefined)
  assert.is(none.ok ? 'taken' : none.fault.code, 'certificate.none')
  // The keys that sign are nobody's account, and differ by side.
  const keys = [ada, bob].flatMap(site =>
    (['bid', 'offer'] as const).map(side => toHex(site.keyOf(FIRST, side)!.signer.publicKey)),
  )
  assert.is(new Set([...keys, toHex(seller.publicKey), toHex(buyer.publicKey)]).size, 6)
  assert.equal(
    registrar
      .crowds()
      .map(({ side, feeder, size }) => [side, feeder, size])
      .sort(),
    [
      ['bid', 'street', 2],
      ['offer', 'street', 2],
    ],
  )
  assert.equal([...health.keys()], [])
  await end(registrar, ada, bob)
}, 120_000)

test('a second key for the same slot and side is declined by its reason, whatever the site has forgotten', async () => {
  const { village, openRegistrar, openSite, pass, end } = await makeOffice()
  const registrar = openRegistrar()
  const first = openSite('ada')
  await pass(200_000)
  assert.equal(both(first), [true, true])
  first.stop()
  const again = openSite('ada')
  await pass(60_000)
  assert.equal(both(again), [false, false])
  assert.ok(
    village.of('ada').log.some(line => line.includes('quota.given')),
    village.of('ada').log.join('\n'),
  )
  assert.equal(registrar.stats(), { given: 2, refused: { 'quota.given': 2 } })
  await end(registrar, again)
}, 120_000)

test("a meter that is another's, or that the regulator suspends from that slot on, is not certified", async () => {
  const { village, openRegistrar, openSite, pass, end } = await makeOffice()
  const inspector = village.of('regulator')
  const submitted = inspector.energy.account.submit({ kind: 'suspend', body: { meterId: 'S-1', from: FIRST } })
  await pass(90_000)
  must(await submitted)
  const registrar = openRegistrar()
  const [ada, bob] = [openSite('ada'), openSite('bob', 'S-1')]
  await pass(200_000)
  assert.equal(
    [both(ada), both(bob)],
    [
      [false, false],
      [false, false],
    ],
  )
  assert.ok(village.of('ada').log.some(line => line.includes('quota.meter.suspended')))
  assert.ok(village.of('bob').log.some(line => line.includes('quota.meter.unknown')))
  assert.equal(registrar.stats(), { given: 0, refused: { 'quota.meter': 4 } })
  await end(registrar, ada, bob)
}, 120_000)

test('who is signed for with another key than the published one notices, and has no key; so nobody is tagged', async () => {
  const tagging = await createBlindIssuer()
  const { health, openRegistrar, openSite, pass, end } = await makeOffice(({ modulus }) => ({
    modulus,
    sign: blinded => tagging.sign(blinded.with(0, 0)),
  }))
  const registrar = openRegistrar()
  const ada = openSite('ada')
  await pass(200_000)
  assert.equal(both(ada), [false, false])
  assert.is(health.get('pseudonyms.certificate')?.code, 'blind-rsa.answer')
  await end(registrar, ada)
}, 120_000)

test('a registrar that starts anew cannot change a published key, and signs nothing under it', async () => {
  const { village, health, openRegistrar, openSite, pass, end } = await makeOffice()
  const first = openRegistrar()
  await pass(150_000)
  const before = village.record(ISSUER_KEYS, issuerKeyId(FIRST, 'bid'))!
  first.stop()
  const second = openRegistrar()
  const ada = openSite('ada')
  await pass(150_000)
  assert.ok(equalBytes(village.record(ISSUER_KEYS, issuerKeyId(FIRST, 'bid'))!.modulus, before.modulus))
  assert.is(health.get('registrar.keys')?.code, 'registrar.other-key')
  assert.equal(both(ada), [false, false])
  // The slot after has a key of its own, and a certificate.
  await pass(900_000)
  assert.equal(both(ada, slotOf(2)), [true, true])
  await end(second, ada)
}, 120_000)

test.run()
