/** Part of the composition root: the site's brokers, and whether any of them is there. */
import type { Bus } from '../drivers/ports.ts'
import { fail, ok, type Result } from '../protocol/result.ts'
import { openBeside } from './beside.ts'
import { tlsFrom } from './broker-tls.ts'
import type { SiteConfig } from './config/site-config.ts'
import type { Health } from './health.ts'
import type { World } from './world.ts'

const LOOK_MS = 1000

/** Of the site, by which it meets its neighbours. */
const OF_SITE = { name: 'brokers', hint: 'nothing is traded until one is there' }

/**
 * Answers although no broker is there, none is named, or a file of `brokerTls` cannot be read: meters are read and signed all the
 * same, and the contacts stay open. The files are read again until they are as they should be, and
 * whenever a connection is lost. `what` names the health item, and says what is missed until one of them is there.
 */
export async function openBrokers(
  { brokers: urls, brokerTls }: Pick<SiteConfig, 'brokers' | 'brokerTls'>,
  world: Pick<World, 'timers' | 'openBus'>,
  health: Pick<Health, 'set'>,
  what: { readonly name: string; readonly hint: string } = OF_SITE,
): Promise<{ readonly bus: Bus; close(): Promise<void> }> {
  /** Asked for before there was a connection to ask. */
  const asked: Parameters<Bus['subscribe']>[] = []
  let bus: Bus | undefined
  const connected = await openBeside(what.name, {
    timers: world.timers,
    health,
    async open() {
      const tls = await tlsFrom(brokerTls, fault => health.set(`${what.name}.tls`, fault))
      if (!tls.ok) return tls
      const opened = await world.openBus(urls, { patient: true, ...tls.value })
      if (!opened.ok) return opened
      bus = opened.value
      // What they hear, they hear from whichever broker comes up; that none is there yet is no fault of theirs.
      for (const subscription of asked.splice(0)) void bus.subscribe(...subscription)
      return ok({ stop: opened.value.close })
    },
  })
  const down = async (): Promise<Result<void>> => fail({ code: 'bus.down', of: urls.length })
  const look = () => {
    // Before it is opened it is said already why.
    if (bus === undefined) return
    const { up, of } = bus.health()
    health.set(what.name, up > 0 || of === 0 ? undefined : { code: 'bus.none-up', of, hint: what.hint })
  }
  look()
  const cancel = world.timers.every(LOOK_MS, look)
  const close = async () => {
    cancel()
    await connected.stop()
  }
  return {
    bus: {
      publish: (...message) => bus?.publish(...message) ?? down(),
      subscribe(...subscription) {
        if (bus !== undefined) return bus.subscribe(...subscription)
        asked.push(subscription)
        return down()
      },
      health: () => bus?.health() ?? { up: 0, of: urls.length },
      close,
    },
    close,
  }
}
