/** A battery whose charge limits what is sold, and a car park's auction: the station's side and a car's. */
import { type WattHours, wattHours } from '../protocol/quantity.ts'
import type { Party } from '../protocol/trade/contract.ts'
import type { SiteConfig } from './config/site-config.ts'
import type { GridTrading } from './grid/run.ts'
import { type CarParkPart, createCarPark } from './roles/car-park.ts'
import { createParkCar, type ParkCar } from './roles/park-car.ts'
import type { Part, PartOptions } from './roles/part.ts'
import { createStoreCharge, type StoreCharge } from './roles/store-charge.ts'
import type { DealInfo } from './trading/trading.ts'

/** Of a deal that is over, this long after its window, every meter has been read that counted it. */
const COUNTED_MS = 30_000
/** What flows at 20 kW until a contact has opened behind the last watt-hour of a deal. */
const OVERSHOOT_WH = 10n

export interface Battery extends Pick<StoreCharge, 'stored'> {
  /** What it can still give beyond its reserve and what is sold already; undefined where nobody knows what is in it. */
  spare(): WattHours | undefined
}

export interface ParkParts {
  readonly battery: Battery | undefined
  readonly carPark: CarParkPart | undefined
  readonly parkCar: ParkCar | undefined
}

export interface ParkOptions {
  readonly config: SiteConfig
  readonly grid: GridTrading | undefined
  direct(): readonly DealInfo[]
  optionsOf(name: string): PartOptions
  /** Starts a part with the others. */
  add(name: string, part: Part): void
}

export function createParkParts({ config, grid, direct, optionsOf, add }: ParkOptions): ParkParts {
  const { carPark, parkCar } = config
  const { clock } = optionsOf('')

  /** What is agreed, and may not be in the count of the battery yet: Wh. */
  function agreed(as: Party): WattHours {
    const now = clock.now()
    const deals = [
      ...(grid?.contracted() ?? []),
      ...direct().flatMap(({ runner }) => {
        const { role, state, contract } = runner.deal()
        // Before it started, a deal that is aborted has moved nothing.
        const never = state === 'aborted' || state === 'expired'
        return never ? [] : [{ role, end: contract.end, energy: contract.energy }]
      }),
    ]
    return wattHours(
      deals
        .filter(({ role, end }) => role === as && end + COUNTED_MS > now)
        .reduce((sum, { energy }) => sum + energy, 0n),
    )
  }

  function openBattery(): Battery | undefined {
    if (config.battery === undefined) return undefined
    const { reserve, dischargePermille } = config.battery
    const charge = createStoreCharge(optionsOf('battery'), Object.keys(config.meters), config.battery)
    add('battery', charge)
    return {
      stored: charge.stored,
      spare() {
        const stored = charge.stored()
        if (stored === undefined) return undefined
        const spare = ((stored - reserve) * BigInt(dischargePermille)) / 1000n - OVERSHOOT_WH - agreed('seller')
        return wattHours(spare > 0n ? spare : 0n)
      },
    }
  }

  const battery = openBattery()
  const opened: { carPark?: CarParkPart; parkCar?: ParkCar } = {}
  if (grid !== undefined && (carPark !== undefined || parkCar !== undefined)) {
    const distributor = config.distribution?.distributor
    const peers = new Map(
      Object.entries(config.peers).flatMap(([name, { account }]) =>
        name === distributor ? [] : [[name, account] as const],
      ),
    )
    const { awarded, granted } = grid.standing
    const own = { grid: config.grid!, peers, awarded, granted, ownMeter: grid.ownMeter }
    if (carPark !== undefined) {
      const promised: Parameters<typeof createCarPark>[0]['promised'] = window => grid.promised(window, 'seller')
      opened.carPark = createCarPark({ ...optionsOf('car-park'), ...own, settings: carPark, promised })
      add('car-park', opened.carPark)
    }
    if (parkCar !== undefined && battery !== undefined) {
      opened.parkCar = createParkCar({
        ...{ ...optionsOf('park-car'), ...own, settings: parkCar, battery: config.battery!, agreed },
        stored: battery.stored,
      })
      add('park-car', opened.parkCar)
    }
  }
  return { battery, carPark: opened.carPark, parkCar: opened.parkCar }
}
