/** The shapes that the API answers with, as JSON Schema 2020-12 (the dialect of OpenAPI 3.1). Nothing that is not named is sent. */
import { PIECES, REASONS } from '../../protocol/trade/deal-records.ts'
import { DEAL_RECORDS } from '../../protocol/trade/deal-records-json.ts'
import { PHASES, STATES } from '../../protocol/trade/deal-state.ts'

export type Schema = Readonly<Record<string, unknown>>

const text: Schema = { type: 'string' }
const flag: Schema = { type: 'boolean' }
const number: Schema = { type: 'number' }
const whole: Schema = { type: 'integer' }
const perhapsWhole: Schema = { type: ['integer', 'null'] }
/** Of any size, so it is text. */
const digits: Schema = { type: 'string', pattern: '^-?[0-9]+$' }
const time: Schema = { type: 'integer', description: 'Unix milliseconds' }
const hex: Schema = { type: 'string', pattern: '^[0-9a-f]*$' }
export const oneOf = (...words: readonly string[]): Schema => ({ type: 'string', enum: words })
const list = (items: Schema): Schema => ({ type: 'array', items })
export const ref = (name: keyof typeof SCHEMAS): Schema => ({ $ref: `#/components/schemas/${name}` })

/** All of `always`, perhaps some of `sometimes`, nothing else. */
export const object = (always: Readonly<Record<string, Schema>>, sometimes: typeof always = {}): Schema => ({
  type: 'object',
  properties: { ...always, ...sometimes },
  required: Object.keys(always),
  additionalProperties: false,
})

/** Keys, and indexes of lists. */
const settingPath = list({ type: ['string', 'integer'] })
const mistakes = list(object({ line: whole, column: whole, code: text, what: text }, { hint: text }))

/** A code, and beside it the values that were compared. */
const withCode = (always: Readonly<Record<string, Schema>>): Schema => ({
  ...object({ code: text, ...always }, { hint: text }),
  additionalProperties: true,
})

const position = oneOf('open', 'closed')
const observed = oneOf('open', 'closed', 'unknown')
const level = oneOf('info', 'warning', 'fault')
const lightState = oneOf('ok', 'no-witness', 'stale', 'refused', 'diverged')

const curve = object({ at: list(time), powerMw: list(perhapsWhole), solarMw: list(perhapsWhole) })

const meter = object({
  name: text,
  speaks: text,
  ageMs: { type: ['number', 'null'] },
  stale: flag,
  values: list(object({ label: text, text })),
})

const health = object({ code: text, text, since: time, level })
const wear = object({ perReading: number, perDay: number })

const charger = object({
  name: text,
  state: { type: ['string', 'null'], enum: ['A', 'B', 'C', 'D', 'E', 'F', null] },
  toldMa: whole,
  heldMa: whole,
  currentsMa: list(whole),
  unsupervised: flag,
  because: list(text),
})

const site = object(
  {
    name: text,
    kind: oneOf('solar-home', 'home', 'charger', 'battery-home'),
    up: flag,
    powerMw: perhapsWhole,
    solarMw: perhapsWhole,
    chargePermille: perhapsWhole,
    meters: list(meter),
    curve,
    walletMicro: { type: ['string', 'null'], pattern: '^-?[0-9]+$' },
    contacts: list(
      object({
        line: text,
        role: oneOf('line', 'upstream', 'own'),
        commanded: position,
        observed,
        whyNot: list(text),
      }),
    ),
    health: list(health),
  },
  { grid: text, chargers: list(charger), wear },
)

const DEAL = {
  always: {
    id: text,
    line: text,
    seller: text,
    buyer: text,
    state: oneOf(...STATES),
    history: list(object({ state: oneOf(...STATES), at: time })),
    energyWh: digits,
    priceMicroPerKwh: digits,
  },
  sometimes: {
    deliveredWh: digits,
    paidMicro: digits,
    proof: object({
      of: oneOf('payment locked', 'settlement', 'refund'),
      height: digits,
      signed: whole,
      validators: whole,
      appHash: hex,
    }),
    note: text,
  },
} as const
const deal = object(DEAL.always, DEAL.sometimes)

const receipt = object({ registerMwh: digits })
const ownDeal = object(
  {
    ...DEAL.always,
    model: oneOf('direct line', 'grid'),
    role: oneOf('seller', 'buyer'),
    peer: text,
    phase: oneOf(...PHASES),
    start: time,
    end: time,
    receipts: object({}, { begin: receipt, end: receipt }),
  },
  { ...DEAL.sometimes, to: text, lock: object({ height: digits }) },
)

const signedReading = object({ envelope: hex, context: hex })
const sideRecords = object({ key: hex }, { signature: hex, begin: signedReading, end: signedReading })
const ledgerRecords = object({
  path: {
    ...list({ type: 'object', required: ['signed_header', 'validators'] }),
    description: 'Blocks, each as /commit and /validators of CometBFT give it.',
  },
  ...{ record: hex, proof: hex },
})
const dealRecords = object(
  {
    ...{ tieline: { const: DEAL_RECORDS }, deal: hex, contract: hex, seller: sideRecords, buyer: sideRecords },
    missing: list(object({ piece: oneOf(...PIECES), why: oneOf(...REASONS) })),
  },
  { ledger: ledgerRecords, reservation: ledgerRecords },
)

const reason = { $ref: '#/components/schemas/Reason' }
const light = object(
  {
    site: text,
    chain: text,
    state: lightState,
    sources: list(
      object(
        { name: text, role: oneOf('primary', 'witness', 'barred'), strikes: whole },
        {
          said: object({ what: oneOf('agrees', 'behind', 'contradicts', 'refused', 'silent'), height: digits }),
        },
      ),
    ),
    counts: object({ headersVerified: whole, proofsVerified: whole, refusals: whole }),
  },
  {
    trust: object({ height: digits, hash: hex }),
    fault: reason,
    head: object({
      ...{ height: digits, hash: hex, time, ageMs: number },
      ...{ signed: whole, validators: whole, witnessed: flag },
    }),
    lastAlarm: object({ state: lightState, at: time }, { fault: reason }),
  },
)

const contact = object(
  {
    contact: text,
    commanded: position,
    observed,
    unsupervised: flag,
    may: flag,
    because: list({ $ref: '#/components/schemas/Reason' }),
  },
  { trouble: { $ref: '#/components/schemas/Reason' } },
)

export const SCHEMAS = {
  Refusal: object({ error: text }),
  Fault: withCode({}),
  Reason: withCode({ text }),
  Health: object({ status: oneOf('ok', 'degraded', 'fault') }),
  Snapshot: object(
    {
      title: text,
      time,
      speed: number,
      ledger: object({ chain: text, validators: whole, signed: whole }, { height: digits }),
      sites: list(site),
      lines: list(
        object({
          id: text,
          seller: text,
          buyer: text,
          powerMw: perhapsWhole,
          energised: flag,
          limitMa: whole,
          sellerContact: observed,
          buyerContact: observed,
        }),
      ),
      deals: list(deal),
      violations: list(object({ at: time, text })),
      log: list(object({ at: time, level, site: text, text })),
    },
    { billed: { const: true }, zone: text },
  ),
  History: object({
    meter: text,
    register: oneOf('import', 'export'),
    period: oneOf('quarter', 'day', 'month'),
    untimed: whole,
    buckets: list(
      object(
        { start: time, end: time, readings: whole, complete: flag, touched: list(text) },
        { meterId: text, energyMwh: digits, reach: object({ from: time, to: time }), absent: list(text) },
      ),
    ),
  }),
  Bill: object(
    {
      period: oneOf('day', 'month'),
      start: time,
      end: time,
      until: time,
      complete: flag,
      missing: list(object({ start: time, end: time, why: text })),
      money: digits,
      withoutTrading: digits,
      saved: digits,
      fees: digits,
      energy: object({ bought: digits, sold: digits, drawn: digits, 'fed-in': digits }),
      now: object({ pays: digits, gets: digits }),
    },
    { ahead: object({ from: time, money: digits }) },
  ),
  Sessions: object({
    sessions: list(
      object(
        {
          id: hex,
          port: text,
          direction: oneOf('import', 'export'),
          tariff: text,
          began: time,
          state: oneOf('open', 'closing', 'ended', 'aborted', 'lost'),
          pages: whole,
        },
        {
          user: object({ level: text, flags: list(text), type: text, id: text }),
          why: text,
          ended: time,
          energyMwh: digits,
        },
      ),
    ),
  }),
  Status: object(
    { site: text, version: text, boot: whole, since: time, time, meters: list(meter), health: list(health) },
    { wear },
  ),
  Deals: object(
    { site: text, deals: list(ownDeal), dropped: list(object({ id: hex, start: time, end: time })), more: flag },
    { unread: withCode({}) },
  ),
  DealRecords: dealRecords,
  Wallet: object(
    { site: text, chain: text, account: hex, lockedMicro: digits },
    {
      balanceMicro: digits,
      sequence: digits,
      proven: object({ height: digits, headerHeight: digits, time, signed: whole, validators: whole }),
    },
  ),
  Light: light,
  Update: object({
    site: text,
    release: { type: ['string', 'null'] },
    tried: flag,
    meters: list(text),
    ledger: flag,
    busy: list(text),
  }),
  Config: object(
    {
      file: text,
      version: { ...hex, description: 'SHA-256 of the text' },
      text,
      writable: flag,
      settings: list(
        object(
          { path: settingPath, value: text, from: oneOf('file', 'default'), editable: flag },
          { line: whole, about: text },
        ),
      ),
    },
    { why: { $ref: '#/components/schemas/Fault' }, mistakes },
  ),
  ConfigChange: object({
    version: hex,
    edits: list(object({ path: settingPath, value: { type: ['string', 'null'] } })),
  }),
  ConfigChanged: object({ version: hex, restart: { const: true } }),
  Mistakes: object({ mistakes }),
  Relays: object({
    site: text,
    manual: flag,
    lines: list(
      object({
        line: text,
        side: oneOf('seller', 'buyer'),
        wish: oneOf('energise', 'de-energise'),
        contacts: list(contact),
        because: list({ $ref: '#/components/schemas/Reason' }),
      }),
    ),
    welds: list(object({ contact: text, at: time, text })),
  }),
} as const satisfies Readonly<Record<string, Schema>>
