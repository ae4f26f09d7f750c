/**
 * Simulated time: one heap of events, virtual time jumps from one to the next. Everything in one simulated run shares one
 * of these, so that a run is repeated exactly by its seed.
 */
import type { Clock, Timers } from '../../drivers/ports.ts'
import { createHeap } from '../../protocol/heap.ts'
import { instant, mono, type TimeQuality } from '../../protocol/time.ts'

interface Event {
  /** In time during which anything ran. */
  readonly due: number
  /** Order of scheduling breaks ties, so that equal times run first come, first served. */
  readonly order: number
  run: (() => void) | undefined
}

export interface SimTime {
  readonly clock: Clock
  readonly timers: Timers
  /** Runs everything due within `ms` from now, awaiting promises between events, and leaves the clock there. */
  advance(ms: number): Promise<void>
  /** Time in which nothing runs, as if every machine were suspended and resumed at once: all that is due waits as much longer. */
  suspend(ms: number): void
  /** Steps the wall clock without touching the monotonic one. */
  stepWall(ms: number): void
  /** Events run so far. */
  events(): number
  /** Clock and timers of one part (an agent) that can be stopped as a whole, as a crash stops a process. */
  partition(): { readonly clock: Clock; readonly timers: Timers; stepWall(ms: number): void; stop(): void }
}

/** Lets every promise that can settle settle: simulated ports hold no real I/O, so one turn of the event loop is enough. */
export type Drain = () => Promise<void>

export function createSimTime(originMs: number, drain: Drain, quality: TimeQuality = 'synchronised'): SimTime {
  const heap = createHeap<Event>((a, b) => a.due < b.due || (a.due === b.due && a.order < b.order))
  let order = 0
  let nowMs = 0
  let suspendedMs = 0
  let wallStep = 0
  let ran = 0

  function schedule(ms: number, run: () => void): () => void {
    const event: Event = { due: nowMs - suspendedMs + Math.max(0, ms), order: order++, run }
    heap.push(event)
    return () => {
      event.run = undefined
    }
  }

  function makePart(): { clock: Clock; timers: Timers; stepWall(ms: number): void; stop(): void } {
    let alive = true
    let step = 0
    const guarded = (run: () => void) => () => {
      if (alive) run()
    }
    return {
      clock: {
        now: () => instant(Math.floor(originMs + nowMs + wallStep + step)),
        mono: () => mono(Math.floor(nowMs)),
        fine: () => mono(nowMs),
        quality: () => quality,
      },
      timers: {
        after: (ms, run) => schedule(ms, guarded(run)),
        every: (ms, run) => {
          let cancel = schedule(ms, guarded(tick))
          let stopped = false
          function tick() {
            cancel = schedule(ms, guarded(tick))
            run()
            if (stopped) cancel()
          }
          return () => {
            stopped = true
            cancel()
          }
        },
        sleep: ms => new Promise(resolve => void schedule(ms, guarded(resolve))),
        exactly: ms => new Promise(resolve => void schedule(ms, guarded(resolve))),
      },
      stepWall: ms => {
        step += ms
      },
      stop: () => {
        alive = false
      },
    }
  }

  const whole = makePart()
  return {
    clock: whole.clock,
    timers: whole.timers,
    async advance(ms) {
      const until = nowMs + ms
      await drain()
      for (;;) {
        const event = heap.first()
        if (event === undefined || event.due + suspendedMs > until) break
        heap.take()
        if (event.run === undefined) continue
        nowMs = event.due + suspendedMs
        ran++
        event.run()
        await drain()
      }
      nowMs = until
    },
    suspend: ms => {
      suspendedMs += ms
      nowMs += ms
    },
    stepWall: step => {
      wallStep += step
    },
    events: () => ran,
    partition: makePart,
  }
}
