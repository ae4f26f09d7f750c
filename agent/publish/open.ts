/** Opens what a configuration says under `mqtt`: a connection of its own, so that trading never waits behind it. */
import { createCache } from '../../drivers/store/cache.ts'
import { toHex } from '../../protocol/bytes.ts'
import { ok, type Result } from '../../protocol/result.ts'
import { tlsFrom } from '../broker-tls.ts'
import type { Agent } from '../compose.ts'
import type { PublishConfig } from '../config/publish-config.ts'
import type { World } from '../world.ts'
import type { PublishCounts } from './counts.ts'
import { availabilityTopic, deviceOf, historyTopic, OFFLINE, type Publisher, startPublisher } from './mqtt.ts'
import { acceptPosition, startReplay } from './replay.ts'

/** Of the software's hash, enough to tell one from another. */
const SOFTWARE_DIGITS = 12

/** A broker that is not there is tried on; a file that cannot be read is a fault. */
export async function openPublisher(
  agent: Agent,
  publish: PublishConfig,
  world: World,
  counts: PublishCounts,
): Promise<Result<Publisher>> {
  const { config } = agent
  const { clock, timers, log } = world
  const files = publish.tls ?? (publish.brokers === undefined ? config.brokerTls : undefined)
  const tls = await tlsFrom(files, fault => {
    if (fault !== undefined)
      log('warn', 'publish', 'the files of the broker are as they should not be; those of before count', fault)
  })
  if (!tls.ok) return tls
  let publisher: Publisher | undefined
  const opened = await world.openBus(publish.brokers ?? config.brokers, {
    patient: true,
    will: { topic: availabilityTopic(deviceOf(config.site)), payload: OFFLINE },
    onUp: () => {
      counts.connected()
      publisher?.announce()
    },
    ...tls.value,
  })
  if (!opened.ok) return opened
  const bus = counts.watch(opened.value)
  const device = deviceOf(config.site)
  const told = await startPublisher({
    ...{ ...publish, agent, bus, clock, timers, log },
    version: toHex(world.software).slice(0, SOFTWARE_DIGITS),
  })
  const disk = publish.historyMs === undefined ? undefined : await world.openDisk(`${config.data}/published`)
  if (disk?.ok === false) {
    await told.stop()
    return disk
  }
  const replay =
    disk === undefined
      ? undefined
      : await startReplay({
          ...{ topic: historyTopic(device), bus, clock, timers, log, keepMs: publish.historyMs! },
          ...{ journal: agent.journal, metering: agent.metering },
          position: createCache(disk.value, 'position.cbor', acceptPosition),
        })
  if (replay !== undefined) counts.follow(replay.waiting)
  publisher = {
    announce() {
      told.announce()
      replay?.resume()
    },
    async stop() {
      await replay?.stop()
      await told.stop()
      await disk?.value.close?.()
    },
  }
  return ok(publisher)
}
