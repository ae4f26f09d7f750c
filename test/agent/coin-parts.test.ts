/** A mint and a purse as a configuration names them: from its text to a one-time account on a ledger, over restarts. */
import { type CoinParts, createCoinParts } from '../../agent/coin-parts.ts'
import { loadConfig } from '../../agent/config/load.ts'
import { configLine } from '../../agent/config/read-form.ts'
import type { SiteConfig } from '../../agent/config/site-config.ts'
import { readCoins } from '../../agent/roles/kept-coins.ts'
import { readMintKeys } from '../../agent/roles/kept-mint-keys.ts'
import type { Part, PartOptions } from '../../agent/roles/part.ts'
import { createRecordSeal } from '../../agent/sealed-part.ts'
import { systemEntropy } from '../../drivers/crypto/entropy.ts'
import { createSigner } from '../../drivers/crypto/signer.ts'
import { toHex, utf8 } from '../../protocol/bytes.ts'
import { addressOf, sha256 } from '../../protocol/crypto/hash.ts'
import { ACCOUNTS } from '../../protocol/ledger/tables.ts'
import { type Money, micros } from '../../protocol/quantity.ts'
import { type Fault, must } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'
import { CENT, coinGenesis, DIME, mint } from '../protocol/ledger/mint.ts'
import { buyer, FEE, RICH } from '../protocol/ledger/parties.ts'
import { countedRsa, threadsRest } from './roles/counted-rsa.ts'
import { makeVillage } from './roles/village.ts'
import { smallSite } from './small-site.ts'

const HEX = 'ab'.repeat(32)
const BASE = `${smallSite(`{seed: ${HEX}}`).replace('data: data', 'bench: true\ndata: data')}
peers: {clerk: {account: ${HEX}, sealing: ${HEX}, metering: ${HEX}}}
`
const PURSE = 'purse: {mint: clerk, stock: {0.1: 2, 0.01: 1}}\n'

const loaded = (text: string) => loadConfig(text, 'site.yaml')
function read(text: string): SiteConfig {
  const config = loaded(text)
  assert.ok(config.ok, config.ok ? '' : config.faults.map(configLine).join('\n'))
  return (config as { value: SiteConfig }).value
}
const complaints = (text: string): readonly string[] => {
  const config = loaded(text)
  return config.ok ? [] : config.faults.map(configLine)
}

const test = suite('coins of a configuration')

test('a site is a mint, or has a purse with so many coins of each size, or neither', () => {
  assert.equal([read(BASE).mint, read(BASE).purse], [undefined, undefined])
  assert.is(read(`${BASE}mint: true\n`).mint, true)
  assert.is(read(`${BASE}mint: false\n`).mint, undefined)
  const stock = [
    { denomination: DIME, count: 2 },
    { denomination: CENT, count: 1 },
  ]
  assert.equal(read(BASE + PURSE).purse, { mint: 'clerk', stock })
})

test('what is wrong is refused where it stands, and what was meant is said', () => {
  const lines = BASE.split('\n').length
  for (const [text, wanted] of [
    [PURSE.replace('clerk', 'clark'), `:${lines}:15: purse.mint names the peer "clark", which is not defined`],
    [PURSE.replace('0.01: 1', '0.05: 1'), 'must be a size of coins: 0.01, 0.1, 1, 10, 100, not "0.05"'],
    [PURSE.replace('0.01: 1', '0.01: 0'), 'must be a number of coins, from 1 to 20, not "0"'],
    [PURSE.replace('0.01: 1', '0.01: 21'), 'must be a number of coins, from 1 to 20, not "21"'],
    [PURSE.replace('{0.1: 2, 0.01: 1}', '{}'), 'names no coins'],
    [`mint: yes please\n`, 'mint must be true or false'],
    [`mint: true\n${PURSE}`, 'purse is beside mint: true'],
  ] as const) {
    const said = complaints(BASE + text)
    assert.is(said.length, 1, `${text} ${said.join('\n')}`)
    assert.ok(said[0]!.includes(wanted), `${said[0]} has no "${wanted}"`)
  }
})

/** The moment that a coin is taken at is drawn from four bytes: with these at once. */
const entropy = { bytes: (n: number) => (n === 4 ? new Uint8Array(4) : systemEntropy.bytes(n)) }
const WORTH = 2n * DIME + CENT

async function makeTown() {
  const village = await makeVillage(coinGenesis, { bob: buyer, clerk: mint })
  const { clock, timers } = village
  const health = new Map<string, Fault>()
  const open = (name: string, config: Pick<SiteConfig, 'mint' | 'purse'>, secret = name): CoinParts => {
    const villager = village.of(name)
    const added: Part[] = []
    const parts = createCoinParts({
      config,
      coining: { ...countedRsa, createSigner, sealing: sha256(utf8(secret)) },
      optionsOf: () =>
        ({
          ...{ ...villager, clock, timers, entropy, log: villager.say },
          health: (what: string, fault: Fault | undefined) =>
            void (fault === undefined ? health.delete(what) : health.set(what, fault)),
        }) as unknown as PartOptions,
      add: (_, part) => void added.push(part),
    })
    for (const part of added) {
      part.restore?.(villager.kept === undefined ? [] : [villager.kept])
      village.run(name, part)
    }
    return parts
  }
  const pass = async (ms: number, enough: () => boolean = () => false) => {
    for (let left = ms; left > 0 && !enough(); left -= 30_000) {
      await village.time.advance(30_000)
      await threadsRest()
    }
  }
  const balance = (address: Uint8Array): Money | undefined => village.record(ACCOUNTS, toHex(address))?.balance
  return { village, health, open, pass, balance }
}

test('a purse withdraws its stock and opens a one-time account; both sides die in between and go on, and what they keep is sealed', async () => {
  const { village, health, open, pass, balance } = await makeTown()
  const signs = read(`${BASE}mint: true\n`)
  const takes = read(BASE + PURSE)
  const keptOf = (name: string) => village.of(name).kept

  const firstMint = open('clerk', signs)
  await pass(3_600_000, () => keptOf('clerk') !== undefined)
  await pass(300_000)
  const firstPurse = open('bob', takes)
  await pass(3_600_000, () => balance(buyer.address) === RICH - WORTH - 3n * FEE)
  firstMint.mint!.stop()
  firstPurse.purse!.stop()
  // Whoever has the journal can read neither; whoever has the sealing seed, both.
  for (const [name, part, readKept] of [
    ['bob', 'purse', readCoins],
    ['clerk', 'mint', readMintKeys],
  ] as const) {
    assert.not(readKept(keptOf(name)!).ok)
    const seal = createRecordSeal(sha256(utf8(name)), part, entropy)
    assert.ok(readKept(must(seal.open(keptOf(name)!))).ok)
  }

  const secondMint = open('clerk', signs)
  const secondPurse = open('bob', takes)
  await pass(7_200_000, () => secondPurse.purse!.held().length === 3)
  assert.equal([...secondPurse.purse!.held()], [DIME, DIME, CENT])
  assert.equal([...health.keys()], [])
  assert.is(secondMint.mint!.stats().signed + firstMint.mint!.stats().signed, 3)

  const oneTime = createSigner(sha256(utf8('one deal')))
  let handed = false
  const funding = secondPurse.purse!.fund(oneTime, micros(150_000n)).then(account => {
    handed = true
    return account
  })
  await pass(600_000, () => handed)
  must(await funding)
  await pass(600_000, () => balance(addressOf(oneTime.publicKey)) !== undefined)
  assert.is(balance(addressOf(oneTime.publicKey)), micros(2n * DIME - 3n * FEE))
  assert.is(balance(buyer.address), micros(RICH - WORTH - 3n * FEE), 'the named account pays nothing more')
  assert.equal(village.producer.audit().problems, [])
  secondMint.mint!.stop()
  secondPurse.purse!.stop()
  await pass(60_000)
  await village.stop()
}, 240_000)

test('a part whose records cannot be opened does not start, says so, and writes nothing over them', async () => {
  const { village, health, open, pass } = await makeTown()
  const bob = village.of('bob')
  const { seal } = createRecordSeal(sha256(utf8('bob')), 'purse', entropy)
  bob.kept = seal(utf8('coins of an earlier life'))
  const before = bob.kept
  const { purse } = open('bob', read(BASE + PURSE), 'another seed')
  await pass(600_000)
  assert.equal(health.get('purse.records'), {
    ...{ code: 'record.sealed', part: 'purse' },
    hint: 'its sealing key is another one; put the right one back',
  })
  assert.is(bob.kept, before)
  assert.equal([...purse!.held()], [])
  purse!.stop()
  await village.stop()
}, 120_000)

test('a sealed record opens under its own part and seed alone, and not changed or cut', () => {
  const seed = sha256(utf8('seed'))
  const own = createRecordSeal(seed, 'purse', systemEntropy)
  const sealed = own.seal(utf8('coins'))
  assert.equal(must(own.open(sealed)), utf8('coins'))
  assert.not.equal(toHex(own.seal(utf8('coins'))), toHex(sealed), 'no nonce twice')
  assert.not(createRecordSeal(seed, 'mint', systemEntropy).open(sealed).ok)
  assert.not(createRecordSeal(sha256(seed), 'purse', systemEntropy).open(sealed).ok)
  for (let at = 0; at < sealed.length; at++) {
    assert.not(own.open(sealed.with(at, sealed[at]! ^ 1)).ok)
    assert.not(own.open(sealed.subarray(0, at)).ok)
  }
})

test.run()
