/**
 * Runs a program in a view of the file system where the parents of our folders are open, and hold nothing
 * else. The project of root may be in a folder that is closed to other users. Postgres runs as another
 * user, and must not get the right to read closed folders. The view is a mount namespace
 * (mount_namespaces(7)): only for that program, and without changes on the disk.
 */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Returns the command prefix that runs a program as the user, with the folders at their usual paths. */
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

/** Every Linux has one of these that does not contain our folders. */
const stages = ['/mnt', '/media', '/srv'];

/** Moves our folders aside, covers closed parents with empty folders, and moves ours back. */
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

/** Returns the topmost parent that other users may not enter, or null. */
async function topmostClosed(folder: string): Promise<string | null> {
  const above = dirname(folder);
  if (above === folder) return null;
  const higher = await topmostClosed(above);
  if (higher !== null) return higher;
  return ((await stat(above)).mode & 0o001) === 0 ? above : null;
}
