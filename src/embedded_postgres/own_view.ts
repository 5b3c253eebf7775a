/**
 * A view of the file system in which the folders above ours are open and hold nothing else. Root may be
 * in a folder that is closed to others; its Postgres is another user, and shall not get the right to read
 * what is closed. Only for the programs that are run in it, and nothing of it is on the disk: a mount
 * namespace of their own (mount_namespaces(7)), where Linux lets us have one.
 */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** What comes before a program, so that it runs as the user and sees the folders at their places. */
export async function inViewOf(
  folders: readonly string[],
  { uid, gid }: { uid: number; gid: number },
): Promise<string[]> {
  const tops = await Promise.all(folders.map(topmostClosed));
  const closed = [...new Set(tops.filter((top) => top !== null))];
  const stage = stages.find((one) => !folders.some((folder) => `${folder}/`.startsWith(`${one}/`)));
  return [
    ...['unshare', '--mount', '--propagation', 'private', '/bin/sh', '-c', script, 'view'],
    ...[stage ?? '/mnt', `${uid}`, `${gid}`],
    ...[`${folders.length}`, ...folders, `${closed.length}`, ...closed],
  ];
}

/** One of them is on every Linux, and none of ours is in it. */
const stages = ['/mnt', '/media', '/srv'];

/** Puts our folders aside, covers the closed ones with empty ones, and puts ours where they were. */
const script = `
set -e
umask 022
stage=$1; user=$2; group=$3; count=$4; shift 4
empty() { mount -t tmpfs -o mode=755,size=1m kennel "$1"; }
empty "$stage"
at=0
while [ $at -lt $count ]; do
  mkdir "$stage/$at"
  mount --bind "$1" "$stage/$at"
  printf '%s\\n' "$1" > "$stage/$at.path"
  at=$((at + 1)); shift
done
closed=$1; shift
while [ $closed -gt 0 ]; do
  empty "$1"
  closed=$((closed - 1)); shift
done
at=0
while [ $at -lt $count ]; do
  folder=$(cat "$stage/$at.path")
  mkdir -p "$folder"
  mount --bind "$stage/$at" "$folder"
  at=$((at + 1))
done
umount -l "$stage"
exec setpriv --reuid="$user" --regid="$group" --clear-groups --no-new-privs "$@"
`;

/** The first folder on the way that others may not pass. */
async function topmostClosed(folder: string): Promise<string | null> {
  const above = dirname(folder);
  if (above === folder) return null;
  const higher = await topmostClosed(above);
  if (higher !== null) return higher;
  return ((await stat(above)).mode & 0o001) === 0 ? above : null;
}
