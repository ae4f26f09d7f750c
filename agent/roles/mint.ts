/**
 * The mint of blind coins: publishes a key for each size of the running epoch, and signs blind for each withdrawal that the
 * ledger proves to hold its money. Its answers are transactions: what it gave, everybody sees; which coin it became, nobody.
 *
 * Each private key is kept before its public key is handed in, so that a mint that starts anew goes on signing; the ledger, not the
 * mint, sees to it that a withdrawal is answered once. One that lost them signs no more coins of this epoch, and what is withdrawn
 * for one goes back at its deadline. Coins that are out stay good: the ledger has the public key.
 */
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { type Bucket, type BucketSize, fullBucket, takeTokens } from '../../protocol/crypto/bucket.ts'
import { MINT_KEYS, mintKeyId, WITHDRAWALS, withdrawalId } from '../../protocol/ledger/coin-tables.ts'
import { ANSWER_MS } from '../../protocol/ledger/rules/coins.ts'
import { DENOMINATIONS, EPOCH_MS, epochAt } from '../../protocol/privacy/coins.ts'
import type { Money } from '../../protocol/quantity.ts'
import { done, fail, type Result } from '../../protocol/result.ts'
import type { Instant } from '../../protocol/time.ts'
import type { BodyOf, Message } from '../../protocol/trade/message.ts'
import { encodeMintKeys, readMintKeys } from './kept-mint-keys.ts'
import type { Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'
import type { Issuer } from './registrar.ts'

/** Coins are wanted ahead of time: nobody waits for one. */
const LOOK_MS = 30_000
/** A transaction that is handed in stands in a block by then, or never. */
const HANDED_MS = 120_000
/** Nothing is signed later than this before the deadline: who holds the answer back would have the coin and the money. */
const MARGIN_MS = ANSWER_MS / 2
/** A purse's whole stock at once, then one in ten seconds: each costs a proof, 1 ms of a processor, and a fee. */
const QUESTIONS: BucketSize = { burst: 32, perSecond: 0.1 }

/** A private key that can be kept: drivers/crypto/blind-rsa.ts. */
interface KeptIssuer extends Issuer {
  secret(): Uint8Array
}

export interface MintOptions extends Pick<PartOptions, 'energy' | 'clock' | 'timers' | 'log' | 'health' | 'record'> {
  createIssuer(): Promise<KeptIssuer>
  /** From its secret. */
  openIssuer(secret: Uint8Array): Result<KeptIssuer>
}

export interface Mint extends Part {
  stats(): { readonly signed: number; readonly refused: Readonly<Record<string, number>> }
}

interface Held {
  readonly epoch: Instant
  readonly denomination: Money
  readonly issuer: KeptIssuer
  handed: Instant | undefined
  /** `other`: the ledger has another key for this size and epoch, of an earlier life. */
  state: 'made' | 'published' | 'other'
}

/** Whether the ledger has it is asked. */
const MADE = { handed: undefined, state: 'made' } as const

export function createMint(options: MintOptions): Mint {
  const { energy, clock, timers, log } = options
  const { light, account } = energy
  const keys = new Map<string, Held>()
  const buckets = new Map<string, Bucket>()
  /** When each withdrawal's answer was handed in. */
  const answered = new Map<string, Instant>()
  const refused: Record<string, number> = {}
  let signed = 0
  let looking = false
  let stopped = false
  let cancel = () => {}

  const keep = () =>
    options.record(
      encodeMintKeys(
        [...keys.values()].map(({ epoch, denomination, issuer }) => ({ epoch, denomination, secret: issuer.secret() })),
      ),
    )

  async function bring(epoch: Instant, denomination: Money): Promise<Result<void>> {
    const id = mintKeyId(epoch, denomination)
    const held: Held = keys.get(id) ?? {
      ...{ epoch, denomination, issuer: await options.createIssuer() },
      ...MADE,
    }
    keys.set(id, held)
    const otherKey = () => fail({ code: 'mint.other-key', epoch, denomination })
    if (held.state !== 'made') return held.state === 'published' ? done : otherKey()
    const proven = await proveRecord(light, MINT_KEYS, id)
    if (!proven.ok) return proven
    const { modulus } = held.issuer
    if (proven.value !== undefined) {
      held.state = equalBytes(proven.value.modulus, modulus) ? 'published' : 'other'
      return held.state === 'published' ? done : otherKey()
    }
    const now = clock.now()
    if (stopped || (held.handed !== undefined && now < held.handed + HANDED_MS)) return done
    const recorded = await keep()
    if (!recorded.ok) return recorded
    const handed = await account.submit({ kind: 'mintKey', body: { epoch, denomination, modulus } })
    if (handed.ok) held.handed = now
    return handed.ok ? done : handed
  }

  async function look(): Promise<void> {
    if (looking) return
    looking = true
    const now = clock.now()
    for (const [id, { epoch }] of keys) if (epoch + EPOCH_MS + ANSWER_MS <= now) keys.delete(id)
    for (const [id, at] of answered) if (at + ANSWER_MS <= now) answered.delete(id)
    let fault: Result<void> = done
    for (const denomination of DENOMINATIONS) {
      if (stopped) break
      const brought = await bring(epochAt(now), denomination)
      if (!brought.ok) fault = brought
    }
    if (!stopped) options.health('mint.keys', fault.ok ? undefined : fault.fault)
    looking = false
  }

  async function answer({ epoch, denomination, withdrawal }: BodyOf<'coin-wanted'>): Promise<Result<void>> {
    const key = keys.get(mintKeyId(epoch, denomination))
    if (key?.state !== 'published') return fail({ code: 'mint.no-key', epoch, denomination })
    const id = withdrawalId(epoch, denomination, withdrawal)
    const proven = await proveRecord(light, WITHDRAWALS, id)
    if (!proven.ok) return proven
    if (proven.value === undefined) return fail({ code: 'mint.no-withdrawal', withdrawal: toHex(withdrawal) })
    const { blinded, answerBy } = proven.value
    const now = clock.now()
    const handedAt = answered.get(id)
    if (blinded === undefined || (handedAt !== undefined && now < handedAt + HANDED_MS)) return done
    if (answerBy - MARGIN_MS < now) return fail({ code: 'mint.late', answerBy, now })
    answered.set(id, now)
    const signature = await key.issuer.sign(blinded)
    if (!signature.ok) return signature
    const body = { epoch, denomination, withdrawal, signature: signature.value }
    const handed = await account.submit({ kind: 'signCoin', body })
    if (!handed.ok) {
      answered.delete(id)
      return handed
    }
    signed++
    return done
  }

  async function hear(peer: string, wanted: BodyOf<'coin-wanted'>): Promise<void> {
    const tokens = takeTokens(buckets.get(peer) ?? fullBucket(QUESTIONS, clock.mono()), QUESTIONS, 1, clock.mono())
    if (tokens !== undefined) buckets.set(peer, tokens)
    const answers = tokens === undefined ? fail({ code: 'mint.too-often', peer }) : await answer(wanted)
    if (stopped || answers.ok) return
    const { code } = answers.fault
    if (refused[code] === undefined) log('info', 'mint', `${peer} is refused`, answers.fault)
    refused[code] = (refused[code] ?? 0) + 1
  }

  return {
    restore(records) {
      for (const bytes of records) {
        const kept = readMintKeys(bytes)
        if (!kept.ok) log('error', 'mint', 'the keys that were kept cannot be read', kept.fault)
        for (const { epoch, denomination, secret } of kept.ok ? kept.value : []) {
          const issuer = options.openIssuer(secret)
          if (!issuer.ok) log('error', 'mint', 'a key that was kept is none', issuer.fault)
          else keys.set(mintKeyId(epoch, denomination), { ...{ epoch, denomination }, issuer: issuer.value, ...MADE })
        }
      }
    },
    start() {
      cancel = timers.every(LOOK_MS, () => void look())
      log('info', 'mint', `signs coins as ${toHex(account.address).slice(0, 8)}`)
    },
    onMessage(peer: string, { body }: Message) {
      if (body.kind === 'coin-wanted') void hear(peer, body)
    },
    stop() {
      stopped = true
      cancel()
    },
    stats: () => ({ signed, refused: { ...refused } }),
  }
}
