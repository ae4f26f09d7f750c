/**
 * One holder of a name in a folder, over all processes that see the folder on this machine, containers included.
 *
 * A holder listens on a socket in the folder. The kernel stops listening when the process ends, however it ends, so a
 * socket that refuses was left behind by a dead one; no process number has to be believed, which another may have taken
 * or which means nothing outside its container. Each announces itself before it looks for others, so of two at once at
 * least one sees the other; both may, and then neither holds.
 */
import { randomBytes } from 'node:crypto'
import { access, open, readdir, unlink } from 'node:fs/promises'
import { createServer, connect as dial, type Server } from 'node:net'
import { join } from 'node:path'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Release } from '../ports.ts'

export type HoldFault = { readonly code: 'disk.held'; readonly name: string; readonly hint: string }

export const HELD_HINT = 'another process writes here: end it first'

/** Throws what the file system says, as its calls do. */
export async function announceHolder(folder: string, name: string): Promise<Result<Release, HoldFault>> {
  const prefix = `.held-${name}-`
  const own = `${prefix}${randomBytes(8).toString('hex')}`
  // Where a socket's folder is missing, libuv says that it is not permitted.
  await access(folder)
  const way = await openWay(folder, own)
  let server: Server | undefined
  let others: string[]
  try {
    server = await listenAt(way.to(own))
    others = (await readdir(folder)).filter(each => each.startsWith(prefix) && each !== own)
    for (const other of others) {
      if (await answers(way.to(other))) {
        await letGo(server, join(folder, own))
        return fail({ code: 'disk.held', name, hint: HELD_HINT })
      }
      await remove(join(folder, other))
    }
    const listening = server
    return ok(() => letGo(listening, join(folder, own)))
  } catch (error) {
    if (server !== undefined) await letGo(server, join(folder, own))
    throw error
  } finally {
    await way.close()
  }
}

/** The longest path of a socket that every system takes. */
const SOCKET_PATH_BYTES = 103

/** A way to the folder that is short enough for a socket: Linux names an open folder under /proc. */
async function openWay(folder: string, own: string): Promise<{ to(name: string): string; close(): Promise<void> }> {
  if (Buffer.byteLength(join(folder, own)) <= SOCKET_PATH_BYTES) {
    return { to: name => join(folder, name), close: async () => {} }
  }
  const handle = await open(folder, 'r')
  return { to: name => `/proc/self/fd/${handle.fd}/${name}`, close: () => handle.close() }
}

function listenAt(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy())
    server.once('error', reject)
    server.listen(path, () => {
      // What is held must not keep a process alive that has nothing else to do.
      server.unref()
      resolve(server)
    })
  })
}

async function letGo(server: Server, path: string): Promise<void> {
  await new Promise<void>(resolve => server.close(() => resolve()))
  await remove(path)
}

/** What is left of a holder that is gone; another process may have removed it already. */
const remove = (path: string): Promise<void> => unlink(path).catch(() => {})

/** Whether a process listens there: refused and missing are a no, everything else might be a yes. */
function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = dial(path)
    const tell = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => tell(true))
    socket.once('error', (error: NodeJS.ErrnoException) =>
      tell(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
}
