/**
 * A store's customer, set and forget: offers the standing agreement that its configuration names, and once the store has
 * accepted, awards it what is left over in each slot, or asks back what is short, within the agreement's terms.
 *
 *     none --propose--> proposed --accepted by the store--> accepted --ended by either--> none
 *                          |--- rejected, or not answered in time: offered again later ---|
 */

import { toHex } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { AGREEMENTS, type Agreement, agreementId } from '../../protocol/ledger/service-tables.ts'
import { type WattHours, wattHours } from '../../protocol/quantity.ts'
import { bytes, decodeAs, encodeAs, record } from '../../protocol/record.ts'
import { fail, type Result } from '../../protocol/result.ts'
import { type Instant, instant, later, type Mono } from '../../protocol/time.ts'
import type { Party } from '../../protocol/trade/contract.ts'
import type { BodyOf, Message } from '../../protocol/trade/message.ts'
import type { GridConfig } from '../config/site-config.ts'
import { openSlot, type Window } from '../grid/decide.ts'
import type { Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'

const THINK_MS = 1_000
/** Between two looks at the agreement on the ledger: soon while an answer is waited for. */
const LOOK_MS = 10_000
const LOOK_ACCEPTED_MS = 300_000
/** A store that is there answers within some blocks; from then on the agreement would be in force. */
const ANSWER_MS = 10 * 60_000
/** A day's notice: what is scheduled for tomorrow still holds. */
const NOTICE_MS = 86_400_000
/** What was rejected is offered again when the store may have other customers or another network. */
const AGAIN_MS = 86_400_000
const QUARTER_MS = 900_000

export interface StoreCustomerOptions
  extends Pick<PartOptions, 'signer' | 'energy' | 'post' | 'clock' | 'timers' | 'entropy' | 'log' | 'health'> {
  readonly grid: Pick<GridConfig, 'slotMs' | 'leadMs' | 'node'>
  readonly store: Omit<NonNullable<GridConfig['store']>, 'balance'> & { readonly account: Uint8Array }
  /** The grid meter's name on the ledger, once it is known. */
  meterId(): string | undefined
  /** What is left to sell or to buy in a window. */
  left(window: Window, as: Party): WattHours
  /** An award was sent: as a seller the customer makes the contract next, as a buyer it waits for the store's. */
  award(peer: string, award: BodyOf<'award'>): void
  record(bytes: Uint8Array): Promise<Result<unknown>>
}

export interface StoreCustomer extends Part {
  agreement(): (Agreement & { readonly id: string }) | undefined
  stats(): { readonly awarded: number; readonly declined: Readonly<Record<string, number>> }
  /** Gives notice. */
  end(): Promise<Result<Uint8Array>>
}

const kept = record({ agreement: [1, bytes(32)] })

export function createStoreCustomer(options: StoreCustomerOptions): StoreCustomer {
  const { clock, timers, log, post, energy, store, grid } = options
  const owner = addressOf(options.signer.publicKey)
  const storage = addressOf(store.account)
  let name: Uint8Array | undefined
  let agreement: Agreement | undefined
  let busy = false
  let closing = false
  let ended = false
  let lookAt: Mono = clock.mono()
  let awardedFor: Instant | undefined
  let awarded = 0
  const sent = new Map<string, Window>()
  const declined: Record<string, number> = {}
  const cancels: (() => void)[] = []

  async function propose(): Promise<void> {
    const meterId = options.meterId()
    if (meterId === undefined) return
    const answerBy = later(clock.now(), ANSWER_MS)
    const { storePrice, returnPrice, most, reward } = store
    const terms = {
      ...{ storage, meterId, from: answerBy, storePrice, returnPrice, most, noticeMs: NOTICE_MS, answerBy },
      ...(reward === undefined ? {} : { reward }),
    }
    const offered = agreementId({ ...terms, owner })
    // Kept first: an agreement that is in force and forgotten here could never be ended.
    const written = await options.record(encodeAs(kept, { agreement: offered }))
    const handed = written.ok ? await energy.account.submit({ kind: 'propose', body: terms }) : written
    options.health('store.agreement', handed.ok ? undefined : handed.fault)
    if (!handed.ok) return lookAgain(ANSWER_MS)
    name = offered
    knock()
    lookAgain(LOOK_MS)
  }

  const lookAgain = (ms: number): void => {
    lookAt = later(clock.mono(), ms)
  }

  /** An award of a slot that is over: it is always declined, and makes the store look the agreement up. */
  function knock(): void {
    const now = clock.now()
    send({ start: instant(now - grid.slotMs), end: now }, 'seller', store.most)
  }

  function send({ start, end }: Window, as: Party, quantity: WattHours): BodyOf<'award'> | undefined {
    const meter = options.meterId()
    if (meter === undefined || name === undefined) return undefined
    const id = options.entropy.bytes(16)
    const price = as === 'seller' ? store.storePrice : store.returnPrice
    const terms = { id, as, start, end, energy: quantity, price, node: grid.node, meter, agreement: name }
    const body = { kind: 'award' as const, ...terms }
    void post.send(store.peer, body, { reliable: true })
    return body
  }

  async function look(): Promise<void> {
    if (name === undefined) return ended ? undefined : propose()
    const id = toHex(name)
    const proven = await proveRecord(energy.light, AGREEMENTS, id)
    if (!proven.ok) return lookAgain(LOOK_MS)
    const before = agreement?.state
    agreement = proven.value
    if (agreement === undefined) {
      // Ended, or not answered in time; or not yet in a block.
      if (before === undefined && (await stillOnItsWay())) return
      name = undefined
      return lookAgain(LOOK_MS)
    }
    patience = 0
    if (agreement.state === 'proposed') {
      knock()
      return lookAgain(LOOK_MS * 3)
    }
    if (agreement.state === 'rejected') {
      options.health('store.agreement', { code: 'store.rejected', store: store.peer, reason: agreement.reason })
      name = undefined
      agreement = undefined
      return lookAgain(AGAIN_MS)
    }
    if (agreement.state !== before) log('info', 'store', `the agreement with ${store.peer} is ${agreement.state}`)
    options.health('store.agreement', undefined)
    // Notice that was given stands in a block soon.
    lookAgain(ended && agreement.state === 'accepted' ? LOOK_MS : LOOK_ACCEPTED_MS)
  }

  let patience = 0
  async function stillOnItsWay(): Promise<boolean> {
    lookAgain(LOOK_MS)
    patience++
    if (patience * LOOK_MS < ANSWER_MS) return true
    patience = 0
    return false
  }

  /** Once in each slot: what is left over goes to the store, or what is short comes from it. */
  function trade(): void {
    const live = agreement?.state === 'accepted' || agreement?.state === 'ending'
    const slot = openSlot(grid, clock.now())
    if (!live || slot === undefined || slot.start === awardedFor || closing) return
    if (slot.start < agreement!.from || slot.end > (agreement!.ends ?? slot.end)) return
    awardedFor = slot.start
    const most = (store.most * BigInt(slot.end - slot.start)) / BigInt(QUARTER_MS)
    for (const as of ['seller', 'buyer'] as const) {
      const left = options.left(slot, as)
      const quantity = wattHours(left < most ? left : most)
      if (quantity === 0n) continue
      const award = send(slot, as, quantity)
      if (award === undefined) return
      awarded++
      sent.set(toHex(award.id), slot)
      return options.award(store.peer, award)
    }
  }

  function think(): void {
    for (const [id, { end }] of sent) if (end <= clock.now()) sent.delete(id)
    trade()
    if (busy || clock.mono() < lookAt || ((closing || ended) && name === undefined)) return
    busy = true
    void look().finally(() => {
      busy = false
    })
  }

  return {
    restore(records) {
      for (const one of records) {
        const read = decodeAs(kept, one, 'store', 64)
        if (read.ok) name = read.value.agreement
        else options.health('store.restore', read.fault)
      }
    },
    start() {
      cancels.push(timers.every(THINK_MS, think))
    },
    onMessage(peer, { body }: Message) {
      if (peer !== store.peer || body.kind !== 'decline' || !sent.delete(toHex(body.id))) return
      declined[body.reason] = (declined[body.reason] ?? 0) + 1
      log('info', 'store', `${peer} declines a slot`, { code: body.reason })
    },
    windDown() {
      closing = true
    },
    stop() {
      for (const cancel of cancels) cancel()
    },
    agreement: () => (agreement === undefined || name === undefined ? undefined : { ...agreement, id: toHex(name) }),
    stats: () => ({ awarded, declined: { ...declined } }),
    async end() {
      if (name === undefined) return fail({ code: 'store.no-agreement' })
      ended = true
      const handed = await energy.account.submit({ kind: 'end', body: { agreement: name } })
      ended = handed.ok
      lookAgain(LOOK_MS)
      return handed
    },
  }
}
