/** A street as the page may meet it: every kind of site, a line in use, each way a deal can end, a fault and a warning. */
import type { Curve, Snapshot } from '../../agent/web/snapshot.ts'
import type { State } from '../../protocol/trade/deal-state.ts'

const NOON = Date.UTC(2026, 5, 21, 12, 40, 5)

function curve(peakMw: number, loadMw: number, generates: boolean): Curve {
  const at = Array.from({ length: 144 }, (_, i) => NOON - (143 - i) * 300_000)
  const sun = (ms: number) => {
    const hour = (ms / 3_600_000) % 24
    return Math.round(peakMw * Math.max(0, Math.sin(((hour - 5.5) / 14) * Math.PI)) ** 1.4)
  }
  const load = (i: number) => Math.round(loadMw * (0.5 + 0.35 * Math.sin(i / 9) + (i % 23 < 3 ? 0.8 : 0)))
  return {
    at,
    // One missing reading: a gap in the curve, not a zero.
    powerMw: at.map((ms, i) => (i === 60 ? null : load(i) - (generates ? sun(ms) : 0))),
    solarMw: at.map(ms => (generates ? sun(ms) : null)),
  }
}

const meter = (name: string, speaks: string, stale = false) => ({
  name,
  speaks,
  ageMs: stale ? 42_000 : 640,
  stale,
  values: [
    { label: 'Energy imported', text: '4,426.218 kWh' },
    { label: 'Energy exported', text: '1,907.004 kWh' },
    { label: 'Power', text: '−2,314.0 W' },
    { label: 'Voltage L1', text: '231.4 V' },
  ],
})

const history = (...states: State[]) => states.map((state, i) => ({ state, at: NOON - (states.length - i) * 9_000 }))
const APP_HASH = '8f3a9c0de1'.repeat(7).slice(0, 64)

export const exampleSnapshot: Snapshot = {
  title: 'Street of five',
  time: NOON,
  speed: 10,
  ledger: { chain: 'street-1', height: '1234', validators: 4, signed: 4 },
  sites: [
    {
      name: 'maple',
      kind: 'solar-home',
      up: true,
      powerMw: -2_314_000,
      solarMw: 5_120_000,
      chargePermille: null,
      meters: [meter('grid', 'eastron-sdm630'), meter('L1', 'eastron-sdm120')],
      curve: curve(5_400_000, 900_000, true),
      walletMicro: '104283111',
      contacts: [
        { line: 'L1', role: 'line', commanded: 'closed', observed: 'closed', whyNot: [] },
        { line: 'L1', role: 'upstream', commanded: 'closed', observed: 'closed', whyNot: [] },
      ],
      health: [],
    },
    {
      name: 'cedar',
      kind: 'home',
      up: true,
      powerMw: 411_000,
      solarMw: null,
      chargePermille: null,
      meters: [meter('grid', 'sml'), meter('L1', 'eastron-sdm120')],
      curve: curve(0, 1_400_000, false),
      walletMicro: '87120450',
      contacts: [
        { line: 'L1', role: 'line', commanded: 'closed', observed: 'closed', whyNot: [] },
        { line: 'L1', role: 'own', commanded: 'open', observed: 'open', whyNot: [] },
      ],
      health: [],
    },
    {
      name: 'birch',
      kind: 'solar-home',
      up: true,
      powerMw: -1_630_000,
      solarMw: 3_010_000,
      chargePermille: null,
      meters: [meter('grid', 'dsmr'), meter('L2', 'eastron-sdm120', true)],
      curve: curve(3_600_000, 1_100_000, true),
      walletMicro: '99020000',
      contacts: [
        {
          line: 'L2',
          role: 'line',
          commanded: 'open',
          observed: 'open',
          whyNot: ['the line meter has not answered for 42 s', 'no payment is proven'],
        },
      ],
      health: [{ code: 'meter.stale', text: 'Line meter L2 does not answer', since: NOON - 42_000, level: 'warning' }],
    },
    {
      name: 'plug',
      kind: 'charger',
      up: true,
      powerMw: 0,
      solarMw: null,
      chargePermille: null,
      meters: [meter('grid', 'shelly-pro-3em')],
      curve: curve(0, 3_000_000, false),
      walletMicro: '50000000',
      contacts: [{ line: 'L2', role: 'line', commanded: 'open', observed: 'unknown', whyNot: ['birch is not ready'] }],
      health: [],
    },
    {
      name: 'alder',
      kind: 'battery-home',
      up: false,
      powerMw: null,
      solarMw: null,
      chargePermille: 640,
      meters: [],
      curve: { at: [], powerMw: [], solarMw: [] },
      walletMicro: null,
      contacts: [],
      health: [],
    },
  ],
  lines: [
    {
      id: 'L1',
      seller: 'maple',
      buyer: 'cedar',
      powerMw: 2_310_000,
      energised: true,
      limitMa: 16_000,
      sellerContact: 'closed',
      buyerContact: 'closed',
    },
    {
      id: 'L2',
      seller: 'birch',
      buyer: 'plug',
      powerMw: 0,
      energised: false,
      limitMa: 32_000,
      sellerContact: 'open',
      buyerContact: 'unknown',
    },
    {
      id: 'L3',
      seller: 'maple',
      buyer: 'alder',
      powerMw: null,
      energised: false,
      limitMa: 16_000,
      sellerContact: 'open',
      buyerContact: 'open',
    },
  ],
  deals: [
    {
      id: 'd4',
      line: 'L1',
      seller: 'maple',
      buyer: 'cedar',
      state: 'started',
      history: history('proposed', 'signed', 'escrowed', 'armed', 'started'),
      energyWh: '2000',
      priceMicroPerKwh: '184000',
      deliveredWh: '740',
      proof: { of: 'payment locked', height: '1234', signed: 4, validators: 4, appHash: APP_HASH },
    },
    {
      id: 'd3',
      line: 'L2',
      seller: 'birch',
      buyer: 'plug',
      state: 'refunded',
      history: history('proposed', 'signed', 'escrowed', 'armed', 'refunded'),
      energyWh: '3000',
      priceMicroPerKwh: '201500',
      deliveredWh: '0',
      paidMicro: '0',
      proof: { of: 'refund', height: '1229', signed: 3, validators: 4, appHash: APP_HASH },
      note: 'The line meter fell silent before the contacts could close.',
    },
    {
      id: 'd2',
      line: 'L1',
      seller: 'maple',
      buyer: 'cedar',
      state: 'settled',
      history: history('proposed', 'signed', 'escrowed', 'armed', 'started', 'stopped', 'receipted', 'settled'),
      energyWh: '2000',
      priceMicroPerKwh: '178000',
      deliveredWh: '1962',
      paidMicro: '349236',
      proof: { of: 'settlement', height: '1217', signed: 4, validators: 4, appHash: APP_HASH },
    },
  ],
  violations: [],
  log: [
    { at: NOON, level: 'info', site: 'cedar', text: 'line L1 closed after a proof at height 1234' },
    { at: NOON - 2_000, level: 'warning', site: 'birch', text: 'L2: meter.silent (ms=42000)' },
    { at: NOON - 9_000, level: 'fault', site: 'alder', text: 'the agent does not answer' },
  ],
}
