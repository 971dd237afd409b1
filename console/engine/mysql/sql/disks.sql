-- Purpose: size and free space of the server's file systems, of a MariaDB with the plugin DISKS
-- Privilege: FILE; without it the server shows no row
-- Cost: one statvfs a mount; not polled
select d.path as path,
       min(d.available) * 1024 as free,
       max(d.total) * 1024 as size
  from information_schema.disks d
 group by d.path
