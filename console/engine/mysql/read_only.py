"""Variables that MySQL takes only at its start. Pure.

No view says so: the list is the manual's ("Dynamic: No" in "Server System Variables"), as MySQL 9.7 refuses
them with error 1238, and those that only 8.0 and 8.4 have.
"""

from __future__ import annotations

_TEXT = """
    admin_address admin_port auto_generate_certs back_log basedir bind_address binlog_gtid_simple_recovery
    binlog_rotate_encryption_master_key_at_startup binlog_row_event_max_size build_id
    caching_sha2_password_auto_generate_rsa_keys caching_sha2_password_private_key_path
    caching_sha2_password_public_key_path character_set_system character_sets_dir container_aware core_file
    create_admin_listener_thread datadir default_authentication_plugin disabled_storage_engines
    disconnect_on_expired_password ft_max_word_len ft_min_word_len ft_query_expansion_limit ft_stopword_file
    gtid_executed gtid_owned have_compress have_dynamic_loading have_geometry have_openssl have_profiling
    have_query_cache have_rtree_keys have_ssl have_statement_timeout have_symlink hostname init_file
    innodb_adaptive_hash_index_parts innodb_api_disable_rowlock innodb_api_enable_binlog
    innodb_api_enable_mdl innodb_autoinc_lock_mode innodb_buffer_pool_chunk_size
    innodb_buffer_pool_instances innodb_buffer_pool_load_at_startup innodb_data_file_path
    innodb_data_home_dir innodb_dedicated_server innodb_directories innodb_doublewrite_batch_size
    innodb_doublewrite_dir innodb_doublewrite_files innodb_doublewrite_pages innodb_flush_method
    innodb_force_load_corrupted innodb_force_recovery innodb_ft_cache_size innodb_ft_max_token_size
    innodb_ft_min_token_size innodb_ft_sort_pll_degree innodb_ft_total_cache_size innodb_log_file_size
    innodb_log_files_in_group innodb_log_group_home_dir innodb_native_foreign_keys innodb_numa_interleave
    innodb_open_files innodb_page_cleaners innodb_page_size innodb_purge_threads innodb_read_io_threads
    innodb_read_only innodb_rollback_on_timeout innodb_sort_buffer_size innodb_sync_array_size
    innodb_temp_data_file_path innodb_temp_tablespaces_dir innodb_undo_directory innodb_use_native_aio
    innodb_validate_tablespace_paths innodb_version innodb_write_io_threads large_files_support
    large_page_size large_pages lc_messages_dir license locked_in_memory log_bin log_bin_basename
    log_bin_index log_error log_replica_updates log_slave_updates lower_case_file_system
    lower_case_table_names max_digest_length myisam_mmap_size myisam_recover_options mysqlx_bind_address
    mysqlx_port mysqlx_port_open_timeout mysqlx_socket named_pipe ngram_token_size old open_files_limit
    performance_schema persist_only_admin_x509_subject persist_sensitive_variables_in_plaintext
    persisted_globals_load pid_file plugin_dir port protocol_version relay_log relay_log_basename
    relay_log_index relay_log_recovery relay_log_space_limit replica_load_tmpdir replica_skip_errors
    report_host report_password report_port report_user secure_file_priv server_memory server_uuid
    sha256_password_auto_generate_rsa_keys sha256_password_private_key_path sha256_password_public_key_path
    shared_memory shared_memory_base_name skip_external_locking skip_name_resolve skip_networking
    skip_replica_start skip_show_database skip_slave_start slave_load_tmpdir slave_skip_errors socket
    ssl_fips_mode system_time_zone table_open_cache_instances thread_handling thread_stack
    tls_certificates_enforced_validation tmpdir version version_comment version_compile_machine
    version_compile_os version_compile_zlib version_with_update
"""
_NAMES = frozenset(_TEXT.split())
# Its switches that can be set while the server runs are tables, but for these.
_DYNAMIC = frozenset({"performance_schema_max_digest_sample_age", "performance_schema_show_processlist"})


def read_only(name: str) -> bool:
    if name.startswith("performance_schema"):
        return name not in _DYNAMIC
    return name in _NAMES
