/** From an account to a stock of coins, and from the stock to a one-time account that pays a deal: a ledger, a mint, a purse. */
import { type CoinPurse, createCoinPurse } from '../../../agent/roles/coin-purse.ts'
import { createMint } from '../../../agent/roles/mint.ts'
import { type BlindIssuer, createBlindIssuer, openBlindIssuer } from '../../../drivers/crypto/blind-rsa.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { addressOf, sha256 } from '../../../protocol/crypto/hash.ts'
import { MINT_KEYS, mintKeyId } from '../../../protocol/ledger/coin-tables.ts'
import { ACCOUNTS, DEALS } from '../../../protocol/ledger/tables.ts'
import { COIN_LIFE_MS, DENOMINATIONS, EPOCH_MS } from '../../../protocol/privacy/coins.ts'
import { type Money, micros, wattHours } from '../../../protocol/quantity.ts'
import { type Fault, must, ok } from '../../../protocol/result.ts'
import { later } from '../../../protocol/time.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import { CENT, coinGenesis, DIME, EPOCH, mint } from '../../protocol/ledger/mint.ts'
import { buyer, commitOf, FEE, operator, partyOf, RICH, seller, terms } from '../../protocol/ledger/parties.ts'
import { countedRsa, threadsRest } from './counted-rsa.ts'
import { makeVillage } from './village.ts'

const test = suite('purse and mint')

/** Made beforehand: a key takes as long as virtual minutes do. */
const issuers = await Promise.all(DENOMINATIONS.map(createBlindIssuer))
const STOCK = [
  { denomination: DIME, count: 3 },
  { denomination: CENT, count: 1 },
]
const SPREAD_MS = 120_000
const DAY_MS = 86_400_000
const WORTH = 3n * DIME + CENT

async function makeTown(change: (issuer: BlindIssuer) => BlindIssuer = issuer => issuer) {
  const village = await makeVillage(coinGenesis, { bob: buyer, mint, operator, seller })
  const { clock, timers } = village
  const health = new Map<string, Fault>()
  const note = (what: string, fault: Fault | undefined) =>
    void (fault === undefined ? health.delete(what) : health.set(what, fault))
  const openMint = (restored?: Uint8Array) => {
    let made = 0
    const part = createMint({
      ...{ ...village.of('mint'), clock, timers, health: note, log: village.of('mint').say },
      createIssuer: async () => change(issuers[made++ % issuers.length]!),
      openIssuer: openBlindIssuer,
    })
    if (restored !== undefined) part.restore!([restored])
    village.run('mint', part)
    return part
  }
  const openPurse = (restored?: Uint8Array, otherwise: Partial<Parameters<typeof createCoinPurse>[0]> = {}) => {
    const bob = village.of('bob')
    const part = createCoinPurse({
      ...{ ...bob, clock, timers, log: bob.say, health: note, entropy: systemEntropy },
      ...{ mint: 'mint', stock: STOCK, spreadMs: SPREAD_MS, createSigner, ...countedRsa },
      ...otherwise,
    })
    if (restored !== undefined) part.restore!([restored])
    village.run('bob', part)
    return part
  }
  const pass = async (ms: number, enough: () => boolean = () => false) => {
    for (let left = ms; left > 0 && !enough(); left -= 30_000) {
      await village.time.advance(30_000)
      await threadsRest()
    }
  }
  /** What asks the ledger needs its time to go on. */
  const during = async <T>(asked: Promise<T>): Promise<T> => {
    let there = false
    void asked.finally(() => {
      there = true
    })
    await pass(600_000, () => there)
    return asked
  }
  const filled = (purse: CoinPurse) => pass(7_200_000, () => purse.held().length === 4)
  const balance = (address: Uint8Array) => village.record(ACCOUNTS, toHex(address))?.balance
  const books = () => {
    const { problems, money } = village.producer.audit()
    assert.equal(problems, [])
    return money
  }
  const end = async (...parts: readonly { stop(): void }[]) => {
    for (const part of parts) part.stop()
    await pass(5000)
    await village.stop()
  }
  return { village, health, openMint, openPurse, pass, during, filled, balance, books, end }
}

test('a stock is taken ahead at moments of its own, opens a one-time account, and that account pays the escrow of a deal', async () => {
  const { village, health, openMint, openPurse, pass, during, filled, balance, books, end } = await makeTown()
  const [clerk, purse] = [openMint(), openPurse()]
  await filled(purse)
  assert.equal([...purse.held()], [DIME, DIME, DIME, CENT])
  assert.is(clerk.stats().signed, 4)
  assert.is(balance(buyer.address), RICH - WORTH - 4n * FEE)
  assert.is(books().coined, WORTH)
  assert.equal([...health.keys()], [])

  const oneTime = createSigner(sha256(utf8('a key of this deal alone')))
  const address = addressOf(oneTime.publicKey)
  const start = later(village.clock.now(), 1_800_000)
  const contract = {
    ...terms,
    buyer: address,
    buyerMeter: 'one-time',
    start,
    end: later(start, 60_000),
    energy: wattHours(400n),
  }
  // 400 Wh at 0.250001 a kWh.
  const escrow = micros(100_001n)
  const account = must(await during(purse.fund(oneTime, micros(escrow + FEE))))
  assert.equal(toHex(account.address), toHex(address))
  assert.equal([...purse.held()], [DIME, DIME], 'a dime and a cent are on their way')
  await pass(120_000)
  assert.is(balance(address), DIME + CENT - 3n * FEE)

  const meter = { meterId: 'one-time', owner: address, line: 'L1', publicKey: partyOf('one-time meter').publicKey }
  must(await during(village.of('operator').energy.account.submit({ kind: 'enrol', body: meter })))
  await pass(120_000)
  const party = { ...buyer, publicKey: oneTime.publicKey, sign: oneTime.signNow }
  const commit = commitOf(contract, { buyer: party })
  must(await during(account.submit(commit)))
  await pass(120_000)
  const deal = village.record(DEALS, toHex(contractHash(commit.body.contract)))!
  assert.equal([deal.state, deal.escrow, toHex(deal.buyer)], ['locked', escrow, toHex(address)])
  assert.is(balance(address), DIME + CENT - 4n * FEE - escrow)
  assert.is(balance(buyer.address), RICH - WORTH - 4n * FEE, 'the named account did not move')
  books()
  // The whole purse is not enough: refused by name, and nothing is handed in.
  const short = await purse.fund(createSigner(sha256(utf8('another'))), micros(2n * DIME))
  assert.equal(short.ok ? undefined : short.fault, {
    ...{ code: 'purse.short', needed: 2n * DIME, held: 2n * DIME, coins: 2 },
  })
  await end(clerk, purse)
}, 120_000)

test('a purse that starts anew has its coins, and takes no more than its stock whatever it spent', async () => {
  const { village, openMint, openPurse, pass, during, filled, balance, end } = await makeTown()
  const clerk = openMint()
  const first = openPurse()
  await filled(first)
  must(await during(first.fund(createSigner(sha256(utf8('one-time'))), micros(DIME - 2n * FEE))))
  first.stop()
  const second = openPurse(village.of('bob').kept)
  await pass(2 * SPREAD_MS)
  assert.equal([...second.held()], [DIME, DIME, CENT])
  assert.is(balance(buyer.address), RICH - WORTH - 4n * FEE)
  await end(clerk, second)
}, 120_000)

test('a purse that dies before its answers come unblinds them in its next life', async () => {
  const { village, openMint, openPurse, pass, filled, balance, end } = await makeTown()
  const clerk = openMint()
  const first = openPurse()
  await pass(7_200_000, () => balance(buyer.address)! < RICH)
  first.stop()
  assert.equal([...first.held()], [])
  const second = openPurse(village.of('bob').kept)
  await filled(second)
  assert.equal([...second.held()], [DIME, DIME, DIME, CENT])
  assert.is(balance(buyer.address), RICH - WORTH - 4n * FEE)
  await end(clerk, second)
}, 120_000)

test('coins of a deposit that no block took are at hand again, and those of one that was taken are not', async () => {
  const { village, openMint, openPurse, pass, during, filled, end } = await makeTown()
  const clerk = openMint()
  const purse = openPurse()
  await filled(purse)
  const { nodes } = village.of('bob').energy
  const lost = nodes.map(node => ({ ...node, submit: async () => ok({ code: 0, hash: new Uint8Array(32), log: '' }) }))
  const bob = village.of('bob')
  purse.stop()
  const deaf = createCoinPurse({
    ...{ ...bob, clock: village.clock, timers: village.timers, log: bob.say, health: () => {}, entropy: systemEntropy },
    ...{ mint: 'mint', stock: STOCK, spreadMs: SPREAD_MS, createSigner, ...countedRsa },
    energy: { ...bob.energy, nodes: lost as unknown as typeof nodes },
  })
  deaf.restore!([bob.kept!])
  deaf.start()
  must(await during(deaf.fund(createSigner(sha256(utf8('lost'))), micros(DIME))))
  await pass(600_000)
  assert.is(deaf.held().length, 2)
  await pass(3_600_000)
  assert.is(deaf.held().length, 4)
  await end(clerk, deaf)
}, 120_000)

test('coins whose life is nearly over are put back: no money is lost with them', async () => {
  const { village, openMint, openPurse, pass, filled, balance, books, end } = await makeTown()
  const clerk = openMint()
  const first = openPurse()
  await filled(first)
  first.stop()
  // Its clock runs ahead of the ledger's, where the coins have days to live.
  const at = (beforeEnd: number) => {
    const ahead = EPOCH + COIN_LIFE_MS - beforeEnd - village.clock.now()
    const clock = { ...village.clock, now: () => later(village.clock.now(), ahead) }
    return openPurse(village.of('bob').kept, { clock, stock: [] })
  }
  const before = balance(buyer.address)!
  const idle = at(2 * DAY_MS + 3_600_000)
  await pass(120_000)
  assert.is(idle.held().length, 4)
  idle.stop()
  // Too late for a deposit that may have to be tried again.
  const late = at(1_800_000)
  const refused = await late.fund(createSigner(sha256(utf8('late'))), CENT)
  assert.is(refused.ok ? undefined : refused.fault.code, 'purse.short')
  late.stop()
  const giving = at(DAY_MS)
  await pass(120_000)
  assert.equal([...giving.held()], [])
  assert.is(balance(buyer.address), micros(before + WORTH - 5n * FEE), 'a fee for each coin, and one')
  assert.is(books().coined, 0n)
  await end(clerk, giving)
}, 120_000)

test('a mint that answers with another key gets nothing taken, and the money comes back at the deadline', async () => {
  const other = issuers[4]!
  const { health, openMint, openPurse, pass, balance, books, end } = await makeTown(issuer => ({
    ...issuer,
    sign: blinded => other.sign(blinded),
  }))
  const clerk = openMint()
  const purse = openPurse()
  await pass(1_800_000)
  assert.is(clerk.stats().signed, 0, 'no node takes what is not the signature')
  assert.equal([...purse.held()], [])
  assert.is(books().coined, WORTH)
  purse.stop()
  await pass(3_600_000)
  assert.is(books().coined, 0n)
  assert.is(balance(buyer.address), RICH - 4n * FEE)
  assert.ok(!health.has('purse.coins'))
  await end(clerk, purse)
}, 120_000)

test('a mint that has its keys goes on signing in its next life, what was withdrawn before included', async () => {
  const { village, health, openMint, openPurse, pass, filled, balance, books, end } = await makeTown()
  const first = openMint()
  await pass(300_000)
  first.stop()
  const purse = openPurse()
  await pass(7_200_000, () => balance(buyer.address)! < RICH)
  issuers.reverse()
  const second = openMint(village.of('mint').kept)
  await filled(purse)
  assert.equal([...purse.held()], [DIME, DIME, DIME, CENT])
  assert.equal([...health.keys()], [])
  assert.is(books().coined, WORTH)
  issuers.reverse()
  await end(second, purse)
}, 120_000)

test('a mint that lost the keys of its earlier life signs nothing under them', async () => {
  const { village, health, openMint, pass, end } = await makeTown()
  const published = (epoch: number) => {
    const key = village.record(MINT_KEYS, mintKeyId(later(EPOCH, epoch * EPOCH_MS), DIME as Money))
    return key === undefined ? undefined : toHex(key.modulus.subarray(0, 4))
  }
  const first = openMint()
  await pass(300_000)
  const before = published(0)
  assert.ok(before !== undefined)
  first.stop()
  issuers.reverse()
  const second = openMint()
  await pass(120_000)
  assert.is(health.get('mint.keys')?.code, 'mint.other-key')
  assert.is(published(0), before)
  await end(second)
  issuers.reverse()
}, 120_000)

test.run()
