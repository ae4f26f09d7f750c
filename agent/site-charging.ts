/** Part of the composition root: the chargers of a site, its fuses, and what they follow. */
import { decimalText } from '../protocol/json-write.ts'
import type { Price } from '../protocol/quantity.ts'
import type { Fault } from '../protocol/result.ts'
import { ok, type Result } from '../protocol/result.ts'
import type { Mono } from '../protocol/time.ts'
import { tlsFilesFor } from './broker-tls.ts'
import { openBrokers } from './brokers.ts'
import { openChargers } from './charging/open-chargers.ts'
import { type Charging, createCharging } from './charging/run.ts'
import type { Sessions } from './charging/sessions.ts'
import type { SiteConfig } from './config/site-config.ts'
import type { Devices } from './devices.ts'
import type { Metering } from './metering/run.ts'
import type { Dispatch } from './roles/part.ts'
import type { World } from './world.ts'

export interface SiteChargingOptions {
  readonly devices: Pick<Devices, 'masterOn' | 'lineOf'>
  readonly metering: Pick<Metering, 'onReading' | 'latest'>
  readonly sessions: Sessions | undefined
  readonly watchdogFed: () => Mono | undefined
  readonly health: (what: string, fault: Fault | undefined) => void
}

/** Undefined where the site has no chargers. */
export async function openSiteCharging(
  config: SiteConfig,
  { clock, timers, log, entropy, openBus }: Pick<World, 'clock' | 'timers' | 'log' | 'entropy' | 'openBus'>,
  { devices, metering, sessions, watchdogFed, health }: SiteChargingOptions,
): Promise<Result<Charging | undefined>> {
  const { fuses, chargers } = config.charging ?? { fuses: {}, chargers: {} }
  if (Object.keys(chargers).length === 0) return ok(undefined)
  const openBroker = async (broker: string) => {
    const brokerTls = tlsFilesFor(config, broker)
    const from = { brokers: [broker], ...(brokerTls === undefined ? {} : { brokerTls }) }
    const what = { name: `chargers.${new URL(broker).host}`, hint: 'chargers on it are out of reach until it is there' }
    return (await openBrokers(from, { timers, openBus }, { set: health }, what)).bus
  }
  const opened = await openChargers(fuses, chargers, { ...{ clock, timers, log, entropy, openBroker }, ...devices })
  if (!opened.ok) return opened
  const connection = Object.values(fuses).find(({ under, meter }) => under === undefined && meter !== undefined)
  const gridMeter = config.grid?.meter ?? connection?.meter
  const points = Object.entries(chargers).flatMap(([name, { counts }]) =>
    counts === undefined ? [] : [[name, { meter: counts.meter, tariff: tariffText(counts.tariff) }] as const],
  )
  const counted = sessions && { sessions, points: new Map(points) }
  // Before the first step: what the journal holds open is not begun a second time.
  void sessions?.start()
  const charging = createCharging({
    ...{ ...opened.value, gridMeter, watchdogFed, health, clock, timers, log },
    ...(counted === undefined ? {} : { counted }),
  })
  metering.onReading(charging.onReading)
  // Read while the ledger and the chargers were opened: without it cars would be sent to their rest for want of a reading.
  for (const name of Object.keys(config.meters)) {
    const latest = metering.latest(name)
    if (latest !== undefined) charging.onReading(name, latest.reading)
  }
  return ok({
    ...charging,
    async stop() {
      await charging.stop()
      await opened.value.close()
    },
  })
}

/** As a customer is told it: `0.39 per kWh`, in the coins of the ledger. */
const tariffText = (price: Price): string => `${decimalText(price, -6).replace(/0{1,4}$/, '')} per kWh`

/** What a site has agreed, told to each that follows it. */
export function bothFollow(one: Dispatch | undefined, other: Dispatch | undefined): Dispatch | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return {
    deal(deal, on) {
      one.deal(deal, on)
      other.deal(deal, on)
    },
    standStill(loads) {
      one.standStill(loads)
      other.standStill(loads)
    },
  }
}
