/** Where a simulated device is plugged in: a pseudo-terminal or a TCP port. */
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import { openPty, type Pty } from '../../drivers/line/pty.ts'
import { openTcpServer } from '../../drivers/line/tcp-server.ts'
import type { Cancel } from '../../drivers/ports.ts'
import { done, ok, type Result } from '../../protocol/result.ts'

export interface Plug {
  /** A device path or host:port: another one, maybe, after each `replug`. */
  where(): string
  /** Takes the device away. */
  pull(): Promise<void>
  replug(): Promise<Result<void>>
  close(): Promise<void>
}

/** What serves a connection until it is cancelled. */
export type Serve = (end: DeviceEnd) => Cancel

export const openPlug = (tcp: { readonly host: string; readonly port: number } | undefined, serve: Serve) =>
  tcp === undefined ? plugSerial(serve) : plugTcp(tcp, serve)

async function plugSerial(serve: Serve): Promise<Result<Plug>> {
  let pty: Pty | undefined
  let cancel: Cancel = () => {}
  async function replug(): Promise<Result<void>> {
    const opened = await openPty()
    if (!opened.ok) return opened
    pty = opened.value
    cancel = serve(pty)
    return done
  }
  async function pull(): Promise<void> {
    cancel()
    await pty?.close()
  }
  const first = await replug()
  return first.ok ? ok({ where: () => pty!.path, pull, replug, close: pull }) : first
}

async function plugTcp(at: { readonly host: string; readonly port: number }, serve: Serve): Promise<Result<Plug>> {
  const cancels: Cancel[] = []
  const server = await openTcpServer(at, end => cancels.push(serve(end)))
  if (!server.ok) return server
  const { host, port } = server.value
  const stop = () => {
    for (const cancel of cancels.splice(0)) cancel()
  }
  return ok({
    where: () => `${host}:${port}`,
    pull: async () => {
      stop()
      server.value.unplug()
    },
    replug: async () => {
      server.value.plug()
      return done
    },
    close: async () => {
      stop()
      await server.value.close()
    },
  })
}
