//! An S3 implementation whose multipart uploads belong to the role, as in S3, and not to one access key.
//!
//! The crate `s3s-fs` accepts the parts of an upload only with the access key that began it. After a refresh, a client continues
//! with another access key. This wrapper therefore hides the access key from `s3s-fs`, after the signature has been verified.

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

pub(crate) struct UploadsOfRole<T>(pub(crate) T);

macro_rules! delegate {
    ($($operation:ident: $input:ident => $output:ident,)*) => {
        #[async_trait::async_trait]
        impl<T: S3> S3 for UploadsOfRole<T> {
            $(async fn $operation(&self, mut request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                request.credentials = None;
                self.0.$operation(request).await
            })*
        }
    };
}

delegate! {
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput,
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput,
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput,
    delete_object: DeleteObjectInput => DeleteObjectOutput,
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput,
    get_object: GetObjectInput => GetObjectOutput,
    head_object: HeadObjectInput => HeadObjectOutput,
    list_buckets: ListBucketsInput => ListBucketsOutput,
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output,
    put_object: PutObjectInput => PutObjectOutput,
    upload_part: UploadPartInput => UploadPartOutput,
}
